"""Reading the parts: jupytext's traps, agreement with the registry, reference slots for the grader."""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.registry import load_spec
from assignment.release.markers import SourceError
from assignment.release.source import load_parts, read_part, reference_prelude, reference_source
from tests.support.course import edit_file, write_course

SPEC = load_spec()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p1_setup.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("comment", ["# !pip install torch", "# %matplotlib inline", "# %%time", "# ls"])
def test_a_comment_that_looks_like_a_magic_stays_a_comment(tmp_path: Path, comment: str) -> None:
    cells = read_part(write(tmp_path, f"# %%\nx = 1\n{comment}\ny = 2\n"))
    assert all(line.startswith("#") or "=" in line for cell in cells for line in cell.source.split("\n"))
    assert not any(line.startswith(("!", "%")) for cell in cells for line in cell.source.split("\n"))


def test_cells_know_their_line_in_the_file(tmp_path: Path) -> None:
    cells = read_part(write(tmp_path, "# %% [markdown]\n# Text\n\n# %%\nx = 1\n\n\n# %%\nx = 1\n"))
    assert [(cell.kind, cell.location.line) for cell in cells] == [("markdown", 2), ("code", 5), ("code", 9)]


def test_reading_twice_gives_equal_cells(tmp_path: Path) -> None:
    path = write(tmp_path, "# %% A title\nx = 1\n\n# %%\ny = 2\n")
    assert read_part(path) == read_part(path)


def test_cell_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"p1_setup\.py:2: cell options are not supported"):
        read_part(write(tmp_path, '# %% tags=["x"]\nx = 1\n'))


def test_raw_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="kind 'raw'"):
        read_part(write(tmp_path, "# %% [raw]\n# x\n"))


def test_the_whole_course_is_read_in_order(tmp_path: Path) -> None:
    cells = load_parts(SPEC, write_course(tmp_path).solutions)
    assert [cell.slot for cell in cells if cell.slot] == [slot.id for slot in SPEC.slots]
    assert [cell.written for cell in cells if cell.written] == list(SPEC.written)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("p3_sft.py", "next-token cross-entropy", "cross-entropy", "make them agree"),
        ("p3_sft.py", "def sft_loss", "def my_loss", "slot T04 must define sft_loss"),
        ("p3_sft.py", "T04", "T99", "T99"),
        ("p9_evaluation.py", "WRITTEN W2", "WRITTEN W1", "says"),
        ("p9_evaluation.py", "WRITTEN W2", "WRITTEN W7", "W7 is not in assignment.toml"),
    ],
)
def test_a_part_that_does_not_agree_with_the_registry_is_refused(
    tmp_path: Path, file: str, old: str, new: str, says: str
) -> None:
    layout = write_course(tmp_path)
    edit_file(layout.solutions / file, old, new)
    with pytest.raises(SourceError) as refused:
        load_parts(SPEC, layout.solutions)
    assert says in str(refused.value)


def test_a_slot_in_the_wrong_part_is_refused(tmp_path: Path) -> None:
    layout = write_course(tmp_path)
    text = (layout.solutions / "p3_sft.py").read_text(encoding="utf-8")
    start = text.index("# %%\n# TODO T05")
    end = text.index("# %%\nfrom solutions")
    (layout.solutions / "p3_sft.py").write_text(text[:start] + text[end:], encoding="utf-8")
    with (layout.solutions / "p4_reward_model.py").open("a", encoding="utf-8") as file:
        file.write(text[start:end])
    with pytest.raises(SourceError, match=r"slot T05 belongs in p3_sft\.py"):
        load_parts(SPEC, layout.solutions)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    layout = write_course(tmp_path)
    (layout.solutions / "p6_ppo_training.py").unlink()
    with pytest.raises(SourceError, match=r"missing p6_ppo_training\.py"):
        load_parts(SPEC, layout.solutions)


def test_a_slot_twice_is_named(tmp_path: Path) -> None:
    layout = write_course(tmp_path)
    path = layout.solutions / "p6_ppo_training.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + text[text.index("# %%\n# TODO T14") :], encoding="utf-8")
    with pytest.raises(SourceError, match=r"p6_ppo_training.py:24: slot T14 is already in p6_ppo_training.py:13"):
        load_parts(SPEC, layout.solutions)


@pytest.mark.parametrize("slot", [slot.id for slot in SPEC.slots])
def test_every_reference_slot_runs_with_its_prelude_alone(slot: str) -> None:
    namespace: dict[str, object] = {"__name__": "student"}
    exec(reference_prelude([slot]), namespace)
    source = reference_source(slot)
    exec(compile(source, slot, "exec"), namespace)
    assert callable(namespace[SPEC.slot(slot).name])
    assert "SOLUTION" not in source
    assert "NotImplementedError" not in source


def test_the_prelude_follows_names_through_constants_and_helpers(tmp_path: Path) -> None:
    layout = write_course(tmp_path)
    helpers = "import math, json\nBASE = math.pi\ndef scale(x):\n    return BASE * x\nOTHER = 1\n"
    edit_file(layout.solutions / "p3_sft.py", "import math\n", helpers)
    edit_file(layout.solutions / "p3_sft.py", "start = 10 * 4", "start = scale(4)")
    prelude = reference_prelude(["T04"], layout.solutions)
    assert prelude.split("\n")[1:3] == ["import math", "BASE = math.pi"]
    assert "def scale" in prelude
    assert "OTHER" not in prelude
    assert "json" not in prelude
