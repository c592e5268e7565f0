"""report.html, the TA's page: what waits for the TA, which points were lost and why, and the evidence for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autograder.core.messages import (
    CLAIMS,
    NOT_RUN,
    PENDING,
    STATUS,
    met_text,
    outcome,
    partial_text,
    reasons,
    replaced_text,
    replay,
)
from autograder.core.rubric import not_run, pending_points
from autograder.core.text import ascii_form
from autograder.report import evidence
from autograder.report.canonical import evidence_of, to_json_data
from autograder.report.page import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assignment.registry import Spec
    from autograder.core.records import Answers, GradedCriterion, GradedItem, Grading, ItemResult, RunInfo, Submission

GENERATIONS_SHOWN = 12
METER_WIDTH = 100  # user units: the width of the meter that shows a criterion's points


def ta_page(grading: Grading) -> str:
    """Render the page. Texts of the submission are escaped, and their hidden characters are shown."""
    graded, submission, answers = grading.graded, grading.submission, grading.answers
    run, spec = grading.run, grading.spec
    items = [item for criterion in graded.criteria for item in criterion.items]
    results = {item.result.id: replace(item.result, evidence=evidence_of(item.result, run)) for item in items}
    verdict, tone = outcome(graded)
    return render(
        "report.html.j2",
        title=spec.title,
        graded=graded,
        verdict=verdict,
        tone=tone,
        why=reasons(graded, spec.pass_mark),
        status=STATUS,
        pending_statuses=PENDING,
        not_run_text=NOT_RUN,
        submission=submission,
        name_ascii=ascii_form(submission.name),
        facts=_facts(submission, run),
        waiting=[item for item in items if item.result.status in PENDING],
        lost=[item for item in items if _is_lost(item, spec)],
        missing=not_run(spec, graded),
        criteria=[_criterion(criterion) for criterion in graded.criteria],
        success=[
            (criterion, *met_text(criterion.met), _title(spec, criterion.id)) for criterion in graded.success_criteria
        ],
        charts=evidence.charts(results, spec, run.profile),
        comparison=_rows(results),
        generations=_generations(results),
        written=_written(spec, answers, items),
        groups=[(c, [_detail(item, results, answers, spec) for item in c.items]) for c in graded.criteria if c.items],
        claims=[_claim(entry) for entry in to_json_data(answers.results)],
        claims_note=CLAIMS,
        notes=[*submission.notes, *answers.notes],
        replay=_replay(run, spec),
    )


def _facts(submission: Submission, run: RunInfo) -> list[tuple[str, str]]:
    minutes, seconds = divmod(round(run.duration_s), 60)
    return [
        ("seed", str(run.seed)),
        ("profile", run.profile),
        ("device", run.device),
        ("threads", str(run.threads)),
        ("sandbox", run.sandbox_tier),
        ("took", f"{minutes} min {seconds:02d} s" if minutes else f"{run.duration_s:.1f} s"),
        ("grader", run.version),
        ("sha256", submission.sha256[:16]),
        *([("the sandbox's limits", run.sandbox_limits)] if run.sandbox_limits else []),
    ]


def _criterion(criterion: GradedCriterion) -> dict[str, Any]:
    scale = METER_WIDTH / criterion.max_points
    pending = pending_points(criterion)
    return {
        "record": criterion,
        "pending": pending,
        "bar": round(criterion.points * scale, 1),
        "open": round(pending * scale, 1),
    }


def _title(spec: Spec, item_id: str) -> str:
    return spec.items[item_id].title if item_id in spec.items else item_id


def _rows(results: Mapping[str, ItemResult]) -> evidence.Node | None:
    """The table of the item whose evidence has rows: the comparison of policies."""
    for rows in (result.evidence.get("rows") for result in results.values()):
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            return evidence.records_table(rows)
    return None


def _generations(results: Mapping[str, ItemResult]) -> list[dict[str, Any]]:
    """The replies in any item's evidence: prompt, reply of SFT, reply of the policy, and their rewards."""
    shown = []
    for result in results.values():
        rows = result.evidence.get("generations")
        if isinstance(rows, list):
            rows = [row for row in rows if isinstance(row, dict)]
            shown += [{**row, "prompt": _bare(row.get("prompt", ""))} for row in rows]
    return shown[:GENERATIONS_SHOWN]


def _bare(prompt: object) -> str:
    """The prompt without the closing "Assistant:" and without blank lines."""
    lines = str(prompt).strip().removesuffix("Assistant:").splitlines()
    return "\n".join(line for line in lines if line.strip())


def _is_lost(item: GradedItem, spec: Spec) -> bool:
    """Whether an item lost points. A bonus cannot be lost."""
    decided = item.result.status not in PENDING and not spec.items[item.result.id].bonus
    return decided and item.points < item.max_points


def _written(spec: Spec, answers: Answers, items: list[GradedItem]) -> list[dict[str, Any]]:
    """Each written item with its questions: (id, question, the student's text). graded: None if this run did not grade
    the item."""
    graded = {item.result.id: item for item in items}
    return [
        {
            "id": row.id, "title": row.title, "graded": graded.get(row.id),
            "questions": [(id_, spec.written[id_], answers.written.get(id_, "").strip()) for id_ in row.questions],
        }
        for row in spec.item_list if row.kind == "written"
    ]  # fmt: skip


def _detail(item: GradedItem, results: Mapping[str, ItemResult], answers: Answers, spec: Spec) -> dict[str, Any]:
    result = results[item.result.id]
    answer = answers.slots.get(result.id)
    return {
        "item": item,
        "result": result,
        "status": STATUS[result.status],
        "partial": partial_text(result, spec),
        "replaced": replaced_text(result.replaced),
        "answer": answer,
        "evidence": evidence.node(dict(result.evidence)) if result.evidence else None,
        "summary": evidence.summary_line(result.evidence),
        "where": f"cell {answer.cell + 1}" if answer and answer.cell is not None else "",
    }


def _claim(entry: Any) -> tuple[str, evidence.Node]:
    """A result that the notebook had saved: its kind, and what it holds."""
    if (
        isinstance(entry, dict)
        and isinstance(entry.get("rows"), list)
        and entry["rows"]
        and all(isinstance(row, dict) for row in entry["rows"])
    ):
        return str(entry.get("kind", "table")), evidence.records_table(entry["rows"])
    return "other", evidence.node(entry)


def _replay(run: RunInfo, spec: Spec) -> list[tuple[str, str]]:
    """The commands that grade the submission again, with what each is for."""
    return [
        ("the whole run", replay(run)),
        ("one item", replay(run, spec.item_list[0].id)),
        ("with other random inputs", replay(replace(run, seed=run.seed + 1))),
    ]
