"""Notebooks as they really arrive get the score of their clean form, or a message that says what to change."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from assignment.registry import load_spec
from autograder.core.exception_hints import hint_for
from autograder.core.records import Answers, ItemResult
from autograder.quality.checks import definitions_runner, quality_results
from autograder.sandbox import WorkerSession
from autograder.slots.runner import run_hidden_tests
from autograder.submission.extraction import extract
from autograder.submission.intake import IntakeError, read_submission
from tests.support.real_life import REWRITTEN, SAME, TOLD, big_output, dumped

SPEC = load_spec()
SLOTS = ("T07", "T08")
SAMPLE = Path(__file__).parents[2] / "submissions" / "reference.ipynb"
CLEAN = json.loads(SAMPLE.read_text(encoding="utf-8"))


def extracted(path: Path) -> Answers:
    """Read a file and extract its answers."""
    return extract(read_submission(path, SPEC), SPEC)


def graded(path: Path, session: WorkerSession) -> dict[str, ItemResult]:
    """Grade the cheap slots of a file in the sandbox."""
    return dict(run_hidden_tests(session, extracted(path), SPEC, 3, SLOTS))


def statements(source: str) -> list[str]:
    """Parse a source into statements, without regard to indentation and comments."""
    return [ast.dump(node) for node in ast.parse(source).body]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Return the answers of the unchanged notebook."""
    path = tmp_path_factory.mktemp("clean") / "rlhf.ipynb"
    path.write_bytes(dumped(CLEAN))
    return extracted(path)


@pytest.mark.parametrize("form", SAME)
def test_an_honest_form_scores_as_the_clean_one(form: str, clean: Answers, best: WorkerSession, tmp_path: Path) -> None:
    """Equal code gets equal scores, so unchanged answers are compared as text and changed ones are run."""
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(SAME[form](CLEAN)))
    answers = extracted(path)
    sources = {slot: (answer.source, clean.slots[slot].source) for slot, answer in answers.slots.items()}
    changed = {slot for slot, (one, other) in sources.items() if statements(one) != statements(other)}
    assert changed == REWRITTEN.get(form, set())
    assert {answer.state for answer in answers.slots.values()} == {"present"}
    assert answers.written == clean.written
    before, after = statements(clean.prelude), statements(answers.prelude)
    assert [one for one in after if one in before] == before
    run = tuple(answers.slots) if after != before else SLOTS
    results = dict(run_hidden_tests(best, answers, SPEC, 3, run))
    assert {slot: result.status for slot, result in results.items()} == dict.fromkeys(run, "passed"), results
    quality = quality_results(answers, SPEC, definitions_runner(best, SPEC))
    assert {item: result.message for item, result in quality.items() if result.share < 1} == {}


@pytest.mark.parametrize("name", ["Kopie von rlhf (3).ipynb", "RLHF FINAL!!.IPYNB", "решение.json", "submission"])
def test_a_renamed_file_scores_as_the_clean_one(name: str, best: WorkerSession, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(dumped(CLEAN))
    assert {result.status for result in graded(path, best).values()} == {"passed"}


@pytest.mark.parametrize("form", TOLD)
def test_what_cannot_be_graded_says_what_to_change(form: str, best: WorkerSession, tmp_path: Path) -> None:
    change, slot, words = TOLD[form]
    if form == "Python 3.12 syntax" and sys.version_info >= (3, 12):
        pytest.skip("the grader runs it")
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(change(CLEAN)))
    results = graded(path, best)
    other = next(one for one in SLOTS if one != slot)
    assert results[slot].status == "crashed"
    assert words in results[slot].message
    assert results[other].status == "passed"  # the rest is graded


@pytest.mark.slow
def test_200_mb_of_saved_output_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(big_output(CLEAN)))
    with pytest.raises(IntakeError, match=r"larger than 100 MB\. Clear all outputs, save the notebook"):
        read_submission(path, SPEC)


def test_a_hint_holds_nothing_of_the_exceptions_text() -> None:
    assert "secret" not in hint_for("NameError: name 'secret_hidden_input' is not defined")
    assert hint_for("ValueError: anything else") == ""
