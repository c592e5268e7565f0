"""Code of a slot that does not run where it stands is named with the remedy, and so are copies that hide an answer."""

from __future__ import annotations

import pytest

from autograder.core.records import Answer, Answers, Cell
from autograder.slots.verdicts import from_state
from tests.support.intake_notebooks import ACCURACY, BLANK, IMPORTS, LOSS, extract_here, submission

BROKEN = LOSS.replace("return", "retrun x")
COMMENTED = "\n".join(f"# {line}" for line in LOSS.splitlines())
HIDDEN = {
    "markdown": Cell(1, "markdown", LOSS),
    "markdown with prose around it": Cell(1, "markdown", f"Don't lose (this:\n\n```python\n{LOSS}```\n"),
    "raw": Cell(1, "raw", LOSS),
    "a file that is written": Cell(1, "code", f"%%writefile loss.py\n{LOSS}"),
    "a shell's cell": Cell(1, "code", f"\n%%bash\n{LOSS}"),
}


def found(*cells: str | Cell) -> Answers:
    return extract_here(submission(*cells))


def t07(*cells: str | Cell) -> Answer:
    return found(*cells).slots["T07"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (HIDDEN["markdown"], "a markdown cell, so it does not run. Make it a code cell again"),
        (HIDDEN["markdown with prose around it"], "a markdown cell, so it does not run. Make it a code cell again"),
        (HIDDEN["raw"], "a raw cell, so it does not run. Make it a code cell again"),
        (HIDDEN["a file that is written"], "a cell magic, keeps it from running. Remove that line"),
        (HIDDEN["a shell's cell"], "a cell magic, keeps it from running. Remove that line"),
        (Cell(1, "code", COMMENTED), "where it is commented out. Remove the #"),
        (Cell(1, "markdown", LOSS.replace("bradley_terry_loss", "my_loss")), "a markdown cell"),
        (Cell(1, "markdown", BLANK), "a markdown cell"),
    ],
)
def test_code_that_does_not_run_is_missing_and_named_with_the_remedy(cell: Cell, said: str) -> None:
    answer = t07(IMPORTS, cell, ACCURACY)
    assert answer.state == "missing"
    assert answer.cell == 1
    assert answer.problem.startswith("The code of T07 is in cell 2, ")
    assert said in answer.problem


@pytest.mark.parametrize("cell", HIDDEN.values(), ids=HIDDEN)
def test_beside_a_blank_copy_the_answer_that_does_not_run_is_named(cell: Cell) -> None:
    answer = t07(BLANK, cell)
    assert answer.state == "blank"
    assert "The code of T07 is in cell 2" in answer.problem


def test_the_report_says_of_a_blank_slot_where_its_answer_is() -> None:
    result = from_state(t07(BLANK, HIDDEN["raw"]))
    assert result is not None
    assert result.status == "not_attempted"
    assert "Seen: The code of T07 is in cell 2, a raw cell" in result.message
    assert "Try: Make it a code cell again" in result.message


@pytest.mark.parametrize(
    "source", [BLANK, f"Its signature:\n```python\n{BLANK}```", "I found `bradley_terry_loss` hard."]
)
def test_prose_about_a_blank_slot_is_not_taken_for_its_answer(source: str) -> None:
    assert t07(BLANK, Cell(1, "markdown", source)).problem == ""


@pytest.mark.parametrize(
    "source", ["## T07 · The loss\n\nUse `bradley_terry_loss`.", "# T07\n", "the default bradley_terry_loss is fine"]
)
def test_the_handouts_headings_and_prose_are_no_code_of_a_slot(source: str) -> None:
    assert "No cell defines `bradley_terry_loss` (T07)" in t07(ACCURACY, Cell(1, "markdown", source)).problem


@pytest.mark.parametrize("cell", [*HIDDEN.values(), Cell(1, "code", COMMENTED)])
def test_an_answer_in_a_code_cell_counts_and_nothing_is_said_of_another_form(cell: Cell) -> None:
    answers = found(LOSS, cell)
    assert (answers.slots["T07"].state, answers.slots["T07"].problem) == ("present", "")
    assert answers.notes == ()


def test_a_renamed_function_comes_before_a_copy_in_markdown() -> None:
    assert "defines `my_loss`" in t07(LOSS.replace("bradley_terry_loss", "my_loss"), Cell(1, "markdown", LOSS)).problem


def test_of_several_cells_that_do_not_run_the_last_that_holds_an_answer_is_named() -> None:
    cells = [Cell(0, "markdown", LOSS), Cell(1, "raw", LOSS), Cell(2, "markdown", BLANK)]
    assert "is in cell 2, a raw cell" in t07(*cells).problem


@pytest.mark.parametrize(
    ("copy", "what"), [(BLANK, "a blank copy of the slot"), (BROKEN, "a copy that is not valid Python")]
)
def test_a_copy_below_an_answer_that_takes_its_place_is_named(copy: str, what: str) -> None:
    answers = found(LOSS, ACCURACY, copy)
    assert answers.slots["T07"].cell == 0
    (note,) = answers.notes
    assert note.startswith("T07 is answered in cell 1, and that answer counts, but in cell 3 below it is ")
    assert what in note
    assert "Delete that copy" in note


def test_a_class_without_forward_below_an_answer_is_named() -> None:
    model = "class RewardModel(kit.RewardModelBase):\n    def forward(self, x):\n        return x\n"
    answers = found(model, "class RewardModel(kit.RewardModelBase):\n    size = 1\n")
    assert answers.slots["T06"].state == "present"
    assert "in cell 2 below it is a class without a method `forward`, which takes" in answers.notes[0]


def test_a_blank_copy_further_down_in_the_same_cell_is_named() -> None:
    (note,) = found(LOSS + "\n\n" + BLANK).notes
    assert "in cell 1, and that answer counts, but further down in it is a blank copy" in note


@pytest.mark.parametrize("cells", [(BLANK, LOSS), (BROKEN, LOSS), (LOSS, "print('never closed'"), (LOSS + "1 +",)])
def test_what_does_not_take_the_answers_place_is_not_mentioned(cells: tuple[str, ...]) -> None:
    assert found(*cells).notes == ()
