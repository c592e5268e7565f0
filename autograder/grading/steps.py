"""The phases of grading between extraction and rubric, each guarded: what fails here is our failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from assignment.registry import Spec
from autograder.core.failures import guarded, not_gradable
from autograder.core.messages import advice, asked
from autograder.core.records import Answers, ItemResult, SuccessCriterion
from autograder.core.selection import Selection
from autograder.report.terminal import GradingProgress, Step

if TYPE_CHECKING:
    from autograder.programs.assemble import StageCode
    from autograder.sandbox import WorkerSession
    from autograder.sandbox.pool import Lanes
    from autograder.training.outcome import Outcome
    from autograder.training.prepare import Preparation
    from autograder.training.run import Decide, StageOutcome
    from autograder.training.stage import Stage

NO_SANDBOX = "no sandbox works on this machine"
NO_TEXT = "No written answer was found under the questions."
WRITE = "Answer below each question, in the notebook's last part, in your own words."
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
    from autograder.slots.judge import judge_slot_without_running
    from autograder.slots.judge import judge_slots as judge

    if session is None:
        return {
            slot: not_gradable(slot, NO_SANDBOX)
            if lost and answers.slots[slot].state == "present"
            else judge_slot_without_running(answers.slots[slot], spec)
            for slot in slots
        }
    step = progress.start("testing slots", total=len(slots))
    results = judge(session, answers, spec, seed, slots, on_slot=lambda slot: step.advance(note=slot))
    passed = sum(result.status == "passed" for result in results.values())
    step.done(f"{passed} of {len(slots)} passed")
    return dict(results)


def run_training(
    lanes: Lanes | None,
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
    from autograder.training.outcome import Failure
    from autograder.training.verdict import item_result, not_run, success_criterion

    reasons = {item: not_run(spec, item, answers, slots) for item in selection.training}
    found: dict[str, Outcome | Failure] = {item: reason for item, reason in reasons.items() if reason is not None}
    due = [item for item in selection.training if item not in found]
    replaced: dict[str, tuple[str, ...]] = {}
    if due and lanes is not None and prepared is not None:
        from autograder.training.run import code_for, stages_of
        from autograder.training.run import decide as usual

        work = [_Due(stage, code_for(stage, spec, answers, slots)) for stage in stages_of(due, spec)]
        begin = [partial(one.run, prepared, seed, progress, decide or usual) for one in work]
        for one, outcome in zip(work, lanes.run(begin), strict=True):
            every = dict.fromkeys(one.stage.items, outcome) if isinstance(outcome, Failure) else outcome
            found |= every
            replaced |= dict.fromkeys(every, one.code.replaced)
    elif due:
        found |= dict.fromkeys(due, Failure("not_gradable", not_gradable("", "").message, {"reason": NO_SANDBOX}))
    bars = spec.thresholds(profile)
    return (
        {item: item_result(spec, bars, item, found[item], replaced.get(item, ())) for item in selection.training},
        {i: success_criterion(i, found[i], bars) for i in selection.training if i in spec.success_criteria},
    )


@dataclass(frozen=True)
class _Due:
    """A stage that is to be run, and its code."""

    stage: Stage
    code: StageCode

    def run(
        self, prepared: Preparation, seed: int, progress: GradingProgress, decide: Decide, session: WorkerSession
    ) -> StageOutcome:
        """The stage with its progress; an exception here is ours."""
        from autograder.training.outcome import Failure

        name = f"training test: {self.stage.items[0]}"

        def failed(reason: str, trace: str) -> Failure:
            return Failure("not_gradable", not_gradable("", "").message, {"reason": reason, "traceback": trace})

        def attempt() -> StageOutcome:
            lab, data = prepared.lab, prepared.data(self.stage)
            step.total(self.stage.steps(lab))
            return decide(session, lab, self.stage, self.code, seed, data, records)

        step = progress.start(name)
        records = _Records(step)
        found = guarded(attempt, failed)
        values = found.status if isinstance(found, Failure) else ", ".join(one.value for one in found.values())
        step.done(f"{values}; {records.seconds:.1f} s in the sandbox")
        return found


class _Records:
    """Takes a stage's records: optimiser steps move the progress, seconds in the sandbox add up.

    A record may be forged by the code that is graded: whatever it holds, nothing here may fail.
    """

    def __init__(self, progress: Step) -> None:
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
    from autograder.quality.checks import definitions_in, judge_quality

    run_definitions = definitions_in(session, spec, slots) if session is not None else None
    step = progress.start("code quality")
    found = guarded(
        lambda: judge_quality(answers, spec, run_definitions),
        lambda reason, trace: {item: not_gradable(item, reason, trace) for item in selection.quality},
    )
    step.done()
    return {item: result for item, result in found.items() if item in selection.items}


def written_result(spec: Spec, answers: Answers) -> ItemResult:
    """The written comparison waits for a TA, unless the whole notebook is blank: prose may stand anywhere."""
    written = [id_ for id_ in spec.written if answers.written.get(id_, "").strip()]
    if not written and all(answer.state in ("blank", "missing") for answer in answers.slots.values()):
        message = asked(" ".join(spec.written.values()), advice(NO_TEXT, WRITE))
        return ItemResult("written_comparison", "not_attempted", 0.0, message)
    message = TO_READ if written else f"{NO_TEXT} {TO_READ}"
    return ItemResult("written_comparison", "needs_review", 0.0, message, evidence={"answered": written})
