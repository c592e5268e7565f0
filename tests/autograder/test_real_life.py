"""Notebooks as they really arrive: the same score as the clean form, or a message that says what to change."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from assignment.spec import load_spec
from autograder.extract import extract
from autograder.hints import hint
from autograder.intake import IntakeError, read_submission
from autograder.judge import judge_slots
from autograder.records import ItemResult
from autograder.sandbox import WorkerSession
from tests.autograder.real_life import SAME, TOLD, big_output, dumped

SPEC = load_spec()
SLOTS = ("T07", "T08")
SAMPLE = Path(__file__).parents[1] / "submissions" / "reference.ipynb"
CLEAN = json.loads(SAMPLE.read_text(encoding="utf-8"))


def judged(path: Path, session: WorkerSession) -> dict[str, ItemResult]:
    """Verdicts on the cheap slots, from the file on, through the sandbox."""
    return dict(judge_slots(session, extract(read_submission(path, SPEC), SPEC), SPEC, 3, SLOTS))


@pytest.mark.parametrize("form", SAME)
def test_an_honest_form_scores_as_the_clean_one(form: str, best: WorkerSession, tmp_path: Path) -> None:
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(SAME[form](CLEAN)))
    results = judged(path, best)
    assert {slot: result.status for slot, result in results.items()} == dict.fromkeys(SLOTS, "passed"), results


@pytest.mark.parametrize("name", ["Kopie von rlhf (3).ipynb", "RLHF FINAL!!.IPYNB", "решение.json", "submission"])
def test_a_renamed_file_scores_as_the_clean_one(name: str, best: WorkerSession, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(dumped(CLEAN))
    assert {result.status for result in judged(path, best).values()} == {"passed"}


@pytest.mark.parametrize("form", TOLD)
def test_what_cannot_be_graded_says_what_to_change(form: str, best: WorkerSession, tmp_path: Path) -> None:
    change, slot, words = TOLD[form]
    if form == "Python 3.12 syntax" and sys.version_info >= (3, 12):
        pytest.skip("the grader runs it")
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(change(CLEAN)))
    results = judged(path, best)
    other = next(one for one in SLOTS if one != slot)
    assert results[slot].status == "crashed"
    assert words in results[slot].message
    assert results[other].status == "passed"  # the rest is graded


@pytest.mark.slow
def test_200_mb_of_saved_output_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(big_output(CLEAN)))
    with pytest.raises(IntakeError, match="larger than 100 MB. Clear all outputs, save the notebook"):
        read_submission(path, SPEC)


def test_a_hint_holds_nothing_of_the_exceptions_text() -> None:
    assert "secret" not in hint("NameError: name 'secret_hidden_input' is not defined")
    assert hint("ValueError: anything else") == ""
