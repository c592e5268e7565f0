"""Slot markers: a line that almost matches one is refused, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.release.markers import Location, SourceError, region_of, slot_of, written_of
from assignment.release.source import read_part

GOOD = """\
# TODO T07 · a task
def f(x):
    y = 1
    # BEGIN SOLUTION T07
    z = x + y
    return z
    # END SOLUTION
"""
SECOND = "\n    # BEGIN SOLUTION T07\n    pass\n    # END SOLUTION"
PLACE = Location("p4.py", 100)


def part(tmp_path: Path, code: str) -> Path:
    """Write a part file whose second cell, from line 5 on, holds the code."""
    path = tmp_path / "p4_reward_model.py"
    path.write_text("# %% [markdown]\n# Text\n\n# %%\n" + code, encoding="utf-8")
    return path


def test_an_exact_slot_cell_is_read() -> None:
    assert slot_of(GOOD, PLACE) == ("T07", "a task")
    region = region_of(GOOD, PLACE)
    assert region is not None
    assert (region.slot, region.begin, region.end, region.indent) == ("T07", 3, 6, "    ")


def test_a_cell_without_markers_has_no_region() -> None:
    assert region_of("x = 1  # a comment on the solution of x", PLACE) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("    # BEGIN SOLUTION T07", "    # solution", 8, "looks like a solution marker"),
        ("    # BEGIN SOLUTION T07", "    #BEGIN SOLUTION T07", 8, "looks like a solution marker"),
        ("    # BEGIN SOLUTION T07", "    # begin solution T07", 8, "looks like a solution marker"),
        ("    # BEGIN SOLUTION T07", "    # BEGIN SOLUTION", 8, "looks like a solution marker"),
        ("    # BEGIN SOLUTION T07", "    # BEGIN SOLUTION T7", 8, "looks like a solution marker"),
        ("    # BEGIN SOLUTION T07", "    # BEGIN_SOLUTION T07", 8, "looks like a solution marker"),
        ("    # BEGIN SOLUTION T07", "    # BEGIN SOLUTION T07 ", 8, "looks like a solution marker"),
        ("    z = x + y", "    z = x + y  # SOLUTION", 9, "looks like a solution marker"),
        ("    z = x + y", "    z = x + y  # BEGIN SOLUTION T07", 9, "looks like a solution marker"),
        ("    z = x + y", '    z = """\n    # END SOLUTION\n    """', 10, "looks like a solution marker"),
        ("    # END SOLUTION", "    # End Solution", 11, "looks like a solution marker"),
        ("    # END SOLUTION", "    # END SOLUTION T07", 11, "looks like a solution marker"),
        ("    # END SOLUTION", "", 8, "never closed"),
        ("    # BEGIN SOLUTION T07", "", 11, "without a BEGIN SOLUTION"),
        ("    # BEGIN SOLUTION T07", "    # BEGIN SOLUTION T08", 8, "T08 in the cell of slot T07"),
        ("    z = x + y", "    # BEGIN SOLUTION T07\n    z = x + y", 9, "nested: the region of line 8"),
        ("    # END SOLUTION", "        # END SOLUTION", 11, "not indented like its BEGIN"),
        ("    z = x + y\n    return z\n", "    # nothing\n", 8, "is empty"),
        ("    # END SOLUTION", "    # END SOLUTION" + SECOND, 12, "a second solution region"),
        ("# TODO T07 · a task\n", "", 7, "whose first line is no `# TODO Txx"),
        ("# TODO T07 · a task", "#TODO T07 · a task", 5, "is not a slot's first line"),
        ("# TODO T07 · a task", "# TODO: T07 a task", 5, "is not a slot's first line"),
        ("# TODO T07 · a task", "# todo T07 · a task", 5, "is not a slot's first line"),
        ("# TODO T07 · a task", "# TODO T07", 5, "is not a slot's first line"),
        ("# TODO T07 · a task", "import math\n# TODO T07 · a task", 6, "must be the cell's first line"),
        ("    z = x + y\n    return z\n    # END SOLUTION\n", "    z = x + y\n", 8, "never closed"),
        ("    z = x + y", "    z = x +", 9, "does not parse"),
    ],
)  # fmt: skip
def test_a_line_that_almost_matches_a_marker_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(SourceError) as refused:
        read_part(part(tmp_path, GOOD.replace(old, new, 1)))
    assert str(refused.value).startswith(f"p4_reward_model.py:{line}: ")
    assert says in str(refused.value)


def test_a_slot_without_a_region_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"p4_reward_model\.py:5: slot T07 has no region"):
        read_part(part(tmp_path, "# TODO T07 · a task\ndef f(x):\n    return x\n"))


def test_markers_indented_less_than_their_code_are_refused(tmp_path: Path) -> None:
    code = GOOD.replace("    # BEGIN", "# BEGIN").replace("    # END", "# END")
    with pytest.raises(SourceError, match=r"not indented like the code they enclose|indented less"):
        read_part(part(tmp_path, code))


@pytest.mark.parametrize("text", ["# BEGIN SOLUTION T07", "text\n# END SOLUTION"])
def test_a_solution_marker_in_prose_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match="looks like a solution marker"):
        written_of(text, PLACE)


def test_a_written_slot_is_read() -> None:
    assert written_of("<!-- WRITTEN W1 · Why? -->\n\nAnswer", PLACE) == ("W1", "Why?")


@pytest.mark.parametrize(
    "line", ["<!-- WRITTEN W1 -->", "<!-- written W1 · Why? -->", "text\n<!-- WRITTEN W1 · Why? -->"]
)
def test_a_line_that_almost_matches_a_written_slot_is_refused(line: str) -> None:
    with pytest.raises(SourceError, match="a written slot starts with the line"):
        written_of(line, PLACE)
