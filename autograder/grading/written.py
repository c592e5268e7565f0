"""The written answers as a step of a grading run: a person grades them, unless nothing was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.context import GradingContext, grading_step
from autograder.core.messages import STATUS, seen_and_tip, with_task
from autograder.core.records import ItemResult

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_TEXT = "No written answer was found under the questions."
WRITE = "Answer below each question, in the notebook's last part, in your own words."
TO_READ = STATUS["needs_review"].sentence


@grading_step("written")
def collect_written_answers(run: GradingContext, _results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Mark each written item as waiting for a TA, unless the whole notebook is blank: the prose may be in any cell."""
    spec, answers = run.spec, run.answers
    blank = all(answer.state in ("blank", "missing") for answer in answers.slots.values())
    found = {}
    for item in run.selection.of("written"):
        questions = spec.items[item].questions
        written = [id_ for id_ in questions if answers.written.get(id_, "").strip()]
        if not written and blank:
            message = with_task(" ".join(spec.written[id_] for id_ in questions), seen_and_tip(NO_TEXT, WRITE))
            found[item] = ItemResult(item, "not_attempted", 0.0, message)
        else:
            message = TO_READ if written else f"{NO_TEXT} {TO_READ}"
            found[item] = ItemResult(item, "needs_review", 0.0, message, evidence={"answered": written})
    return found
