"""What the export warns of, each with the advice that helps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from assignment.registry import load_spec
from rlhf_kit import history
from rlhf_kit.export import export_submission
from rlhf_kit.history import RanCell
from tests.support.intake_notebooks import ACCURACY, BLANK, LOSS, code, markdown, notebook, write

SPEC = load_spec()
EDITED = LOSS.replace(".mean()", ".sum()")
SAVED_AT = 1_000_000.0
QUESTIONS = {id_: f"<!-- WRITTEN {id_} · {text} -->\n### {id_} · {text}\n\n" for id_, text in SPEC.written.items()}


def warnings(folder: Path, *cells: str | dict[str, Any], ran: list[RanCell] | None = None, **names: Any) -> list[str]:
    """Save a notebook at SAVED_AT, export it, and return the warnings. ran: the cells that ran in this kernel."""
    path = write(folder / "rlhf.ipynb", notebook(list(cells)))
    os.utime(path, (SAVED_AT, SAVED_AT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_RAN", ran or [])
        return list(export_submission(path, namespace=names).warnings)


def about(found: list[str], word: str) -> list[str]:
    return [warning for warning in found if word in warning]


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_a_slot_cell_that_is_no_code_cell_is_named_with_the_remedy(tmp_path, kind):
    (said,) = about(warnings(tmp_path, {"cell_type": kind, "source": LOSS, "metadata": {}}, ACCURACY), "T07")
    assert f"The code of T07 is in cell 1, a {kind} cell" in said
    assert "Make it a code cell again" in said


def test_a_blank_copy_below_an_answer_is_named(tmp_path):
    (said,) = about(warnings(tmp_path, LOSS, ACCURACY, BLANK), "T07")
    assert "T07 is answered in cell 1, and that answer counts, but in cell 3 below it is a blank copy" in said
    assert "Delete that copy" in said


def test_a_slot_that_is_gone_is_named_with_the_remedy(tmp_path):
    (said,) = about(warnings(tmp_path, ACCURACY), "T07")
    assert "Copy that cell from the handout's notebook" in said


def test_a_slot_that_is_no_python_is_named(tmp_path):
    (said,) = about(warnings(tmp_path, LOSS.replace("return", "retrun x")), "T07")
    assert "T07 (cell 1) is not valid Python" in said


def test_untouched_written_answers_are_named(tmp_path):
    cells = [markdown(text + "*Your answer.*") for text in QUESTIONS.values()]
    (said,) = about(warnings(tmp_path, LOSS, *cells), "written answer")
    assert "No written answer yet: W1, W2, W3." in said


def test_a_written_answer_is_not_named(tmp_path):
    cells = [markdown(text + ("The policy." if id_ == "W2" else "")) for id_, text in QUESTIONS.items()]
    (said,) = about(warnings(tmp_path, LOSS, *cells), "written answer")
    assert "No written answer yet: W1, W3." in said


def test_a_cell_edited_after_its_run_and_saved_is_to_be_run(tmp_path):
    (said,) = about(warnings(tmp_path, EDITED, ran=[RanCell(LOSS, SAVED_AT - 5)]), "dited")
    assert said.startswith("Edited, but not run since: T07.")
    assert "Run the cell of the slot and its check" in said


@pytest.mark.parametrize("saved", [LOSS, BLANK, ACCURACY], ids=["an older version", "blank", "no such cell"])
def test_a_cell_run_after_the_file_was_saved_is_to_be_saved(tmp_path, saved):
    (said,) = about(warnings(tmp_path, saved, ran=[RanCell(EDITED, SAVED_AT + 5)]), "not saved")
    assert said.startswith("Run, but not saved: T07.")
    assert "Ctrl+S" in said


def test_both_at_once_are_told_apart(tmp_path):
    ran = [RanCell(LOSS, SAVED_AT - 9), RanCell(ACCURACY + "# more", SAVED_AT + 9)]
    found = warnings(tmp_path, EDITED, ACCURACY, ran=ran)
    assert about(found, "Edited, but not run since: T07.")
    assert about(found, "Run, but not saved: T08.")


@pytest.mark.parametrize(
    "ran",
    [
        [RanCell(LOSS, SAVED_AT - 5)],
        [RanCell(EDITED, SAVED_AT - 9), RanCell(LOSS + "\n", SAVED_AT - 5)],  # tried something, then went back
        [RanCell(LOSS.replace("\n", "\r\n"), SAVED_AT - 5)],
        [RanCell(EDITED, SAVED_AT - 9), RanCell(LOSS, SAVED_AT + 5)],  # saved, and run after that
        [RanCell("loss = bradley_terry_loss(a, b)", SAVED_AT + 5)],
        [],
    ],
)
def test_a_file_that_holds_what_was_run_gives_no_such_warning(tmp_path, ran):
    found = warnings(tmp_path, LOSS, ran=ran)
    assert not [said for said in found if "not run" in said or "not saved" in said or "differs" in said]


def test_a_cell_that_became_markdown_after_its_run_is_not_called_unsaved(tmp_path):
    found = warnings(tmp_path, markdown(LOSS), ran=[RanCell(LOSS, SAVED_AT - 5)])
    assert not about(found, "not saved")
    assert about(found, "a markdown cell")


def test_without_times_both_pieces_of_advice_are_given(tmp_path):
    (said,) = about(warnings(tmp_path, LOSS, In=["", EDITED]), "differs")
    assert "differs from what you last ran in T07" in said
    assert "If you edited the cell after that, run it" in said


def test_a_complete_notebook_gives_no_warning(tmp_path):
    from rlhf_kit.results import MIME_TYPE

    solved = [f"def {slot.name}(x):\n    return x" for slot in SPEC.slots if slot.id != "T06"]
    model = "class RewardModel(Base):\n    def forward(self, x):\n        return x"
    tables = [{"output_type": "display_data", "data": {MIME_TYPE: {"kind": "sft", "rows": []}}, "metadata": {}}]
    written = [markdown(text + "An answer.") for text in QUESTIONS.values()]
    assert warnings(tmp_path, *solved, model, code("kit.record(1)", outputs=tables), *written) == []
