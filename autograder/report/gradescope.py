"""results.json for Gradescope: one test per rubric item, with texts of the grader only.

Items that wait for a TA are listed with 0 of their points, so that the total in Gradescope is the rubric's and no
points are rescaled. Students see this file, so it holds no evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autograder.core.messages import KNOWN_MISTAKE, NOT_RUN, PENDING, STATUS, outcome, partial_text, replaced_text
from autograder.core.text import one_line, points, visible

if TYPE_CHECKING:
    from assignment.registry import Spec
    from autograder.core.records import Graded, GradedItem, Grading

BONUS = "Bonus: {earned} of {of} points, beside the score.\n"
MAX_OUTPUT = 2_000  # characters per item


def results_dict(grading: Grading) -> dict[str, Any]:
    """The content of results.json as plain data; see Gradescope's autograder specification."""
    graded, run, spec = grading.graded, grading.run, grading.spec
    items = {item.result.id: item for criterion in graded.criteria for item in criterion.items}
    tests = [
        _test(f"{number}.{index}", id_, criterion.title, items.get(id_), spec)
        for number, criterion in enumerate(spec.criteria, 1)
        for index, id_ in enumerate(criterion.items, 1)
    ]
    return {
        "score": graded.score,
        "execution_time": round(run.duration_s, 3),
        "output": _head(graded),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {
            "passed": graded.passed,
            "pending": graded.pending,
            "grader_version": run.version,
            "seed": run.seed,
            "profile": run.profile,
            "sandbox_tier": run.sandbox_tier,
        },
    }


def _test(number: str, id_: str, title: str, item: GradedItem | None, spec: Spec) -> dict[str, Any]:
    row, max_points = spec.items[id_], float(spec.items[id_].points)
    earned = item.points if item else 0.0
    # A test with points would change the maximum in Gradescope, so the points of a bonus are only in its text.
    amounts = {} if row.bonus else {"score": earned, "max_score": max_points}
    bonus = BONUS.format(earned=points(earned), of=points(max_points)) if row.bonus else ""
    test: dict[str, Any] = {
        "name": f"{id_} · {title}: {one_line(row.title)}",
        "number": number,
        **amounts,
        "output": bonus + _output(item, spec),
        "output_format": "text",
        "visibility": "visible",
    }
    if item is not None and item.result.status not in PENDING:  # without one it is shown as neutral
        test["status"] = "passed" if item.points == max_points else "failed"
    return test


def _output(item: GradedItem | None, spec: Spec) -> str:
    if item is None:
        return f"{NOT_RUN.label}: {NOT_RUN.sentence}"
    result, status = item.result, STATUS[item.result.status]
    parts = [f"{status.label}: {result.message or status.sentence}"]
    if result.misconception:
        name, sentence = result.misconception.get("name", ""), result.misconception.get("sentence", "")
        parts.append(f"{KNOWN_MISTAKE} {name}. {sentence}")
    parts += [partial_text(result, spec), replaced_text(result.replaced)]
    return visible("\n".join(part for part in parts if part), limit=MAX_OUTPUT)


def _head(graded: Graded) -> str:
    verdict, _ = outcome(graded)
    waits = f", {points(graded.pending)} pending" if graded.pending else ""
    return f"{points(graded.score)} of {points(graded.max_score)} points{waits}. {verdict}."
