"""The written answers: a person grades them, unless there is nothing to read."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.context import GradingContext, grading_step
from autograder.core.messages import STATUS, advice, asked
from autograder.core.records import ItemResult

NO_TEXT = "No written answer was found under the questions."
WRITE = "Answer below each question, in the notebook's last part, in your own words."
TO_READ = STATUS["needs_review"].sentence


@grading_step("written")
def collect_written_answers(run: GradingContext, results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Each written item waits for a TA, unless the whole notebook is blank: prose may stand anywhere."""
    spec, answers = run.spec, run.answers
    blank = all(answer.state in ("blank", "missing") for answer in answers.slots.values())
    found = {}
    for item in run.selection.of("written"):
        questions = spec.items[item].questions
        written = [id_ for id_ in questions if answers.written.get(id_, "").strip()]
        if not written and blank:
            message = asked(" ".join(spec.written[id_] for id_ in questions), advice(NO_TEXT, WRITE))
            found[item] = ItemResult(item, "not_attempted", 0.0, message)
        else:
            message = TO_READ if written else f"{NO_TEXT} {TO_READ}"
            found[item] = ItemResult(item, "needs_review", 0.0, message, evidence={"answered": written})
    return found
