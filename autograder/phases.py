"""The phases of grading between extraction and rubric, each guarded: what fails here is our failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assignment.spec import Spec
from autograder.failures import guarded, not_gradable
from autograder.records import Answers, ItemResult, SuccessCriterion
from autograder.report.terminal import GradingProgress
from autograder.selection import Selection

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession
    from autograder.training.code import StageCode
    from autograder.training.prepare import Preparation
    from autograder.training.run import Decide, Failure, StageOutcome
    from autograder.training.stage import Stage

NO_SANDBOX = "no sandbox works on this machine"
NO_TEXT = "No written answer was found under the three questions."
TO_READ = "A teaching assistant reads and grades the written comparison."


def judge_slots(
    session: WorkerSession | None,
    spec: Spec,
    answers: Answers,
    slots: tuple[str, ...],
    seed: int,
    progress: GradingProgress,
    *,
    lost: bool,
) -> dict[str, ItemResult]:
    """Results of these slots' hidden tests. lost: there is code to run and no sandbox to run it in."""
    from autograder.judge import judge_slot_without_running
    from autograder.judge import judge_slots as judge

    if session is None:
        return {
            slot: not_gradable(slot, NO_SANDBOX)
            if lost and answers.slots[slot].state == "present"
            else judge_slot_without_running(answers.slots[slot], spec)
            for slot in slots
        }
    progress.start("testing slots", total=len(slots))
    results = judge(session, answers, spec, seed, slots, on_slot=lambda slot: progress.advance(note=slot))
    passed = sum(result.status == "passed" for result in results.values())
    progress.done(f"{passed} of {len(slots)} passed")
    return dict(results)


def run_training(
    session: WorkerSession | None,
    prepared: Preparation | None,
    spec: Spec,
    profile: str,
    answers: Answers,
    slots: dict[str, ItemResult],
    selection: Selection,
    seed: int,
    progress: GradingProgress,
    decide: Decide | None = None,
) -> tuple[dict[str, ItemResult], dict[str, SuccessCriterion]]:
    """Results and success criteria of the selected training items. decide: runs a stage; training.run's own
    by default (the grader's proof puts one in its place that remembers what it has run)."""
    results: dict[str, ItemResult] = {}
    criteria: dict[str, SuccessCriterion] = {}
    if not selection.training:
        return results, criteria
    from autograder.training import run as training
    from autograder.training.run import Failure, code_for, not_run, stages_of, verdicts

    for stage in stages_of(selection.training):
        found: StageOutcome | None = not_run(stage, spec, answers, slots)
        replaced: tuple[str, ...] = ()
        if found is None and (session is None or prepared is None):
            found = Failure("not_gradable", not_gradable("", "").message, {"reason": NO_SANDBOX})
        elif found is None:
            assert session is not None and prepared is not None
            code = code_for(stage, spec, answers, slots)
            replaced = code.replaced
            found = _train(session, prepared, stage, code, seed, progress, decide or training.decide)
        decided = verdicts(spec, spec.thresholds(profile), stage, found, replaced)
        results |= {id_: one for id_, one in decided.results.items() if id_ in selection.items}
        criteria |= {id_: one for id_, one in decided.criteria.items() if id_ in selection.items}
    return results, criteria


def _train(
    session: WorkerSession,
    prepared: Preparation,
    stage: Stage,
    code: StageCode,
    seed: int,
    progress: GradingProgress,
    decide: Decide,
) -> StageOutcome:
    """One stage with its progress; an exception here is ours."""
    from autograder.training.run import Failure

    progress.start(f"training test: {stage.items[0]}")
    records = _Records(progress)

    def failed(reason: str, trace: str) -> Failure:
        return Failure("not_gradable", not_gradable("", "").message, {"reason": reason, "traceback": trace})

    def attempt() -> StageOutcome:
        lab, data = prepared.lab, prepared.data(stage)
        progress.start(f"training test: {stage.items[0]}", total=stage.steps(lab))
        return decide(session, lab, stage, code, seed, data, records)

    found = guarded(attempt, failed)
    values = found.status if isinstance(found, Failure) else ", ".join(one.value for one in found.values())
    progress.done(f"{values}; {records.seconds:.1f} s in the sandbox")
    return found


class _Records:
    """Takes a stage's records: optimiser steps move the progress, seconds in the sandbox add up.

    A record may be forged by the code that is graded: whatever it holds, nothing here may fail.
    """

    def __init__(self, progress: GradingProgress) -> None:
        self.progress, self.steps, self.seconds = progress, 0, 0.0

    def __call__(self, record: dict[str, Any]) -> None:
        step, seconds = record.get("step"), record.get("wall_s")
        if isinstance(seconds, float):
            self.seconds += seconds
        if isinstance(step, int) and step > self.steps:
            values = ((key, value) for key, value in record.items() if isinstance(value, float))
            self.progress.advance(step - self.steps, ", ".join(f"{key} {value:.2f}" for key, value in values))
            self.steps = step


def run_quality(
    session: WorkerSession | None,
    spec: Spec,
    answers: Answers,
    selection: Selection,
    progress: GradingProgress,
    slots: Mapping[str, ItemResult],
) -> dict[str, ItemResult]:
    """Results of the selected code-quality items. slots: what the slot tests have found."""
    if not selection.quality:
        return {}
    from autograder.quality import definitions_in, judge_quality

    run_definitions = definitions_in(session, spec, slots) if session is not None else None
    progress.start("code quality")
    found = guarded(
        lambda: judge_quality(answers, spec, run_definitions),
        lambda reason, trace: {item: not_gradable(item, reason, trace) for item in selection.quality},
    )
    progress.done()
    return {item: result for item, result in found.items() if item in selection.items}


def written_result(spec: Spec, answers: Answers) -> ItemResult:
    """The written comparison waits for a TA, unless the whole notebook is blank: prose may stand anywhere."""
    written = [id_ for id_ in spec.written if answers.written.get(id_, "").strip()]
    if not written and all(answer.state in ("blank", "missing") for answer in answers.slots.values()):
        return ItemResult("written_comparison", "not_attempted", 0.0, NO_TEXT)
    message = TO_READ if written else f"{NO_TEXT} {TO_READ}"
    return ItemResult("written_comparison", "needs_review", 0.0, message, evidence={"answered": written})
