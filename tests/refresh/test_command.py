"""`make refresh` on a copy of the repository, whose slots are edited as an instructor would edit them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.refresh import __main__ as command
from tests.refresh import recheck, renew
from tests.refresh.rows import Row
from tests.support.course import edit_file, write_course
from tests.support.processes import environment
from tests.support.sources import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "dist", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "results"
)
# Makes the copy current without what would take hours: the sample is marked as run with this kit, and the pages as made
# with this code. Nothing else is faked.
CURRENT = """
import json
import nbformat
import rlhf_kit as kit
from assignment.files import write_atomically
from assignment.release import reference_sample
from assignment.release.release import Layout, build
from autograder.calibration import study, tables
from autograder.calibration.subjects import subjects
from autograder.reference.models import load_reference
from autograder.training.run import STAGES
from autograder.training.stage import Lab
from tests.attacks import page as attacks
from tests.matrix import __main__ as matrix, store
from tests.support.stamps import stamp

release, layout = build(), Layout()
solved = nbformat.reads(release.solved.decode(), as_version=4)
ran = nbformat.read(layout.samples / reference_sample.SAMPLE, as_version=4)
outputs = {cell.id: cell for cell in ran.cells}
for cell in solved.cells:
    if cell.cell_type == "code" and cell.id in outputs:
        cell.outputs, cell.execution_count = outputs[cell.id].outputs, outputs[cell.id].execution_count
solved.metadata["language_info"] = ran.metadata["language_info"]
write_atomically(layout.samples / reference_sample.SAMPLE, reference_sample.sample_file(release, solved))
lab = Lab(load_reference(), release.spec, kit.get_profile())
known = {(subject.stage.op, subject.id): subject for subject in subjects(release.spec)}
for stage in STAGES:
    kept = tables.rows(stage)
    tables.table(stage).unlink()
    for row in kept:
        key = study.run_key(lab, known[stage.op, row["subject"]], int(row["seed"]), row["device"])
        tables.append(stage, row | {"key": key, "state": study.state(lab, stage)})
for path, state in ((matrix.PAGE, store.page_state()), (attacks.PAGE, attacks.page_state())):
    write_atomically(path, path.read_text(encoding="utf-8") + stamp(state) + "\\n")
"""


CALIBRATE = (sys.executable, "-m", "autograder.cli", "calibrate", "--minutes", "0")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the repository, and make everything in the copy current."""
    root = tmp_path_factory.mktemp("copy") / "lab"
    shutil.copytree(ROOT, root, ignore=LEFT_OUT)
    python(root, "-c", CURRENT)
    # 1: runs of another time may have another verdict today, which is not what is asked here
    assert subprocess.run(CALIBRATE, cwd=root, env=environment(root), capture_output=True).returncode in (0, 1)
    return root


def python(root: Path, *arguments: str, code: int = 0) -> str:
    """Run Python in the copy, and return what it prints on one line. Fails if the exit code is another."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True, timeout=900)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stdout + done.stderr
    return " ".join(done.stdout.split())


def refresh(root: Path, code: int) -> str:
    return python(root, "-m", "tests.refresh", "--static", code=code)


RENEWED = ("student_template/", "dist/rlhf-student.zip", *(f"tests/submissions/{name}.ipynb" for name in
           ("typical", "blank", "reference")))  # fmt: skip
LEFT = (
    "tests/submissions/reference.ipynb it ran with other code or another kit: run `rlhf-lab verify`",
    'tests/solutions/mistakes.py T13 "padded mean": its text stands 0 times in the solution, not once',
    "tests/solutions/mistakes.py T07 \"sum\": its text stands 0 times in the solution, not once; adapt '.mean()'",
    "solutions T07 fails its hidden test (",
    "release gate public checks: T07",
    "docs/grading-matrix.md made with other code: `make matrix`",
    "docs/security.md made with other code: `make attacks`",
)


@pytest.mark.slow
def test_everything_that_a_changed_slot_makes_stale_is_renewed_or_named(copy: Path) -> None:
    assert "1 renewed, nothing left to do by hand" in refresh(copy, 0)  # the zip, which no commit holds
    assert "nothing is stale" in refresh(copy, 0)

    # With new prose, and a comment in a slot, everything is renewed without an execution.
    edit_file(copy / "solutions/p2_data.py", "# # Part 2 · Data", "# # Part 2 · The data")
    begin = "# BEGIN SOLUTION T01\n"
    edit_file(copy / "solutions/p2_data.py", begin, f"{begin}    # as in the handout\n")
    said = refresh(copy, 0)
    assert [name for name in RENEWED if f"renewed {name}" not in said] == [], said
    assert "nothing is stale" in refresh(copy, 0)

    # A variable is renamed in one slot, the task of another changes, and a known mistake gets a wrong edit.
    softplus = "F.softplus(rejected - chosen + margin)"
    edit_file(copy / "solutions/p4_reward_model.py", f"{softplus}.mean()", f"{softplus}.sum()")
    path = copy / "solutions/p5_ppo_math.py"
    path.write_text(path.read_text(encoding="utf-8").replace("count", "tokens_here"), encoding="utf-8")
    said = refresh(copy, 1)
    assert [one for one in LEFT if f"by hand {one}" not in said] == [], said
    assert re.search(r"by hand docs/calibration.md \d+ of \d+ runs were made with older code, data or configs", said)

    library = copy / "autograder/slots/misconceptions/library/data.toml"
    edit_file(library, """edit = [['" " + example', 'example']]""", """edit = [['" " + sample', 'example']]""")
    said = refresh(copy, 1)
    assert "by hand slots autograder/slots/misconceptions/library/data.toml: D16: " in said, said
    assert [one for one in LEFT if f"by hand {one}" not in said] == [], said  # what is left to do is reported again


def test_a_part_that_cannot_be_built_ends_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = write_course(tmp_path)
    (layout.solutions / "p3_sft.py").unlink()
    monkeypatch.setattr(command, "Layout", lambda: layout)
    assert command.main(["--static"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("cannot build: ")
    assert len(out.splitlines()) == 1


def test_a_check_that_fails_is_named_and_the_others_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = write_course(tmp_path)
    monkeypatch.setattr(command, "Layout", lambda: layout)
    for name in ("places", "reference", "world"):
        monkeypatch.setattr(renew, name, lambda *_, **__: [])

    def fails(*_: object) -> list[Row]:
        raise RuntimeError("[red] boom")

    for name in ("solutions", "library", "typical", "mistakes", "calibration"):
        monkeypatch.setattr(recheck, name, fails if name == "library" else lambda *_: [])
    monkeypatch.setattr(recheck, "pages", lambda: [Row("docs/x.md", "current")])
    assert command.main([]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "by hand known mistakes could not be checked (RuntimeError: [red] boom)" in said
    assert "current docs/x.md" in said
    assert "2 left for you to do by hand" in said  # the other one is the typical sample
