"""feedback.html, the student's page. It shows only texts of the grader.

It is rendered from the registry, the statuses, the messages, the named misconceptions and the measured values of the
success criteria. Evidence, tracebacks, replies, file names and notes never reach its template, because they may contain
hidden inputs or somebody else's text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autograder.core.messages import NOT_RUN, PENDING, STATUS, met_text, outcome, partial_text, reasons, replaced_text
from autograder.core.rubric import not_run
from autograder.report.page import render

if TYPE_CHECKING:
    from assignment.registry import Spec
    from autograder.core.records import GradedItem, Grading


def feedback_page(grading: Grading) -> str:
    """Render the page."""
    graded, run, spec = grading.graded, grading.run, grading.spec
    verdict, tone = outcome(graded)
    return render(
        "feedback.html.j2",
        title=spec.title,
        graded=graded,
        verdict=verdict,
        tone=tone,
        not_run_text=NOT_RUN,
        why=reasons(graded, spec.pass_mark),
        pending_statuses=PENDING,
        pass_mark=spec.pass_mark,
        digest=grading.submission.sha256[:16],
        missing=not_run(spec, graded),
        facts=[("profile", run.profile), ("seed", str(run.seed)), ("grader", run.version)],
        success=[(spec.items[c.id].title, c, *met_text(c.met)) for c in graded.success_criteria],
        groups=[
            (criterion, [_row(item, spec) for item in criterion.items])
            for criterion in graded.criteria
            if criterion.items
        ],
    )


def _row(item: GradedItem, spec: Spec) -> dict[str, Any]:
    result, status = item.result, STATUS[item.result.status]
    mistake = result.misconception or {}
    return {
        "id": result.id,
        "item": item,
        "status": status,
        "message": result.message or status.sentence,
        "tell": result.status != "passed" or spec.items[result.id].kind == "training",
        "mistake": (mistake.get("name", ""), mistake.get("sentence", "")) if mistake else None,
        "partial": partial_text(result, spec),
        "replaced": replaced_text(result.replaced),
    }
