"""The command itself, on a copy of the repository whose slots are edited as an instructor would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.refresh import __main__ as command
from tests.refresh import recheck, renew
from tests.refresh.rows import Row
from tests.support.course import write_course
from tests.support.sources import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "dist", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "results"
)
# The copy is made current by what would take hours: the sample says that it ran with this kit, the pages that they
# were made with this code. Nothing else is pretended.
CURRENT = """
import json
import nbformat
from assignment.files import write_atomically
from assignment.release import reference_sample
from assignment.release.release import Layout, build
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
for path, state in ((matrix.PAGE, store.page_state()), (attacks.PAGE, attacks.page_state())):
    write_atomically(path, path.read_text(encoding="utf-8") + stamp(state) + "\\n")
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which nothing is stale."""
    root = tmp_path_factory.mktemp("copy") / "lab"
    shutil.copytree(ROOT, root, ignore=LEFT_OUT)
    python(root, "-c", CURRENT)
    return root


def python(root: Path, *arguments: str, code: int = 0) -> str:
    """What Python prints in the copy, on one line; fails if it ends with another exit code."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "student_template"), *before])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return " ".join(done.stdout.split())


def refresh(root: Path, code: int) -> str:
    return python(root, "-m", "tests.refresh", "--static", code=code)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, text.count(old))
    path.write_text(text.replace(old, new), encoding="utf-8")


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
def test_a_change_of_a_slot_is_followed_to_everything_that_it_makes_stale(copy: Path) -> None:
    assert "1 renewed, nothing left to do by hand" in refresh(copy, 0)  # the zip, which no commit holds
    assert "nothing is stale" in refresh(copy, 0)

    # New prose, and a comment in a slot: all is renewed without running anything.
    edit(copy / "solutions/p2_data.py", "# # Part 2 · Data", "# # Part 2 · The data")
    edit(copy / "solutions/p2_data.py", "# BEGIN SOLUTION T01\n", "# BEGIN SOLUTION T01\n    # as in the handout\n")
    said = refresh(copy, 0)
    assert [name for name in RENEWED if f"renewed {name}" not in said] == [], said
    assert "nothing is stale" in refresh(copy, 0)

    # A variable has another name in one slot, another slot means something else, and a known mistake has a slip.
    edit(copy / "solutions/p4_reward_model.py", "F.softplus(rejected - chosen + margin).mean()",
         "F.softplus(rejected - chosen + margin).sum()")  # fmt: skip
    path = copy / "solutions/p5_ppo_math.py"
    path.write_text(path.read_text(encoding="utf-8").replace("count", "tokens_here"), encoding="utf-8")
    said = refresh(copy, 1)
    assert [one for one in LEFT if f"by hand {one}" not in said] == [], said
    assert re.search(r"by hand docs/calibration.md \d+ of \d+ runs are of older code, data or configs", said)

    library = copy / "autograder/slots/misconceptions/library/data.toml"
    edit(library, """edit = [['" " + example', 'example']]""", """edit = [['" " + sample', 'example']]""")
    said = refresh(copy, 1)
    assert "by hand slots autograder/slots/misconceptions/library/data.toml: D16: " in said, said
    assert [one for one in LEFT if f"by hand {one}" not in said] == [], said  # what waits is said again


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


def test_a_look_that_fails_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = write_course(tmp_path)
    monkeypatch.setattr(command, "Layout", lambda: layout)
    for name in ("places", "reference"):
        monkeypatch.setattr(renew, name, lambda *_, **__: [])

    def fails(*_: object) -> list[Row]:
        raise RuntimeError("[red] boom")

    for name in ("solutions", "library", "typical", "mistakes", "calibration"):
        monkeypatch.setattr(recheck, name, fails if name == "library" else lambda *_: [])
    monkeypatch.setattr(recheck, "pages", lambda: [Row("docs/x.md", "current")])
    assert command.main([]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "by hand known mistakes could not be looked at (RuntimeError: [red] boom)" in said
    assert "current docs/x.md" in said
    assert "2 left for you to do by hand" in said
