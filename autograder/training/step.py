"""The training tests as a step of a grading run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from autograder.context import GradingContext, TrainingRuntime, grading_step
from autograder.core.failures import NO_SANDBOX, GraderFailure, guarded
from autograder.training.outcome import Failure, Outcome
from autograder.training.verdict import item_result, not_run

if TYPE_CHECKING:  # some of these import torch: a notebook without loops must not wait for it
    from collections.abc import Mapping

    from autograder.core.progress import GradingProgress, Step
    from autograder.core.records import ItemResult
    from autograder.programs.assemble import StageCode
    from autograder.sandbox import WorkerSession
    from autograder.training.run import StageOutcome
    from autograder.training.stage import Stage


@grading_step("training")
def run_training_tests(run: GradingContext, results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Return the results of the selected training items, with their success criteria. results: of all slots; they say
    which slots the reference replaces."""
    items = run.selection.of("training")
    reasons = {item: not_run(run.spec, item, run.answers, results) for item in items}
    found: dict[str, Outcome | Failure] = {item: reason for item, reason in reasons.items() if reason is not None}
    due = [item for item in items if item not in found]
    replaced: dict[str, tuple[str, ...]] = {}
    if isinstance(run.training, TrainingRuntime):
        for job, outcome in _trained(run, run.training, due, results):
            each = dict.fromkeys(job.stage.items, outcome) if isinstance(outcome, Failure) else outcome
            found |= each
            replaced |= dict.fromkeys(each, job.code.replaced)
    else:
        found |= dict.fromkeys(due, Failure.of_grader(run.training or NO_SANDBOX))
    thresholds = run.spec.thresholds(run.profile)
    return {item: item_result(run.spec, thresholds, item, found[item], replaced.get(item, ())) for item in items}


def _trained(
    run: GradingContext, training: TrainingRuntime, due: list[str], results: Mapping[str, ItemResult]
) -> list[tuple[_StageJob, StageOutcome]]:
    """Run the stages that decide these items side by side. Returns each with its outcome."""
    from autograder.training.run import code_for, stages_of

    jobs = [_StageJob(stage, code_for(stage, run.spec, run.answers, results)) for stage in stages_of(due, run.spec)]
    outcomes = training.pool.run([partial(job.outcome, run.seed, training, run.progress) for job in jobs])
    return list(zip(jobs, outcomes, strict=True))


def _failed(failure: GraderFailure, *_: Any) -> StageOutcome:
    return Failure.of_grader(failure)


@dataclass(frozen=True)
class _StageJob:
    """A stage to run, and its code."""

    stage: Stage
    code: StageCode

    def outcome(
        self, seed: int, training: TrainingRuntime, progress: GradingProgress, session: WorkerSession
    ) -> StageOutcome:
        """Run the stage, with its progress on the terminal. An exception in here is an error of the grader."""
        step = progress.start(f"training test: {self.stage.items[0]}")
        records = _ProgressRecords(step)
        found = self._decided(seed, training, records, session)
        values = found.status if isinstance(found, Failure) else ", ".join(one.value for one in found.values())
        step.done(f"{values}; {records.seconds:.1f} s in the sandbox")
        return found

    @guarded(_failed)
    def _decided(
        self, seed: int, training: TrainingRuntime, records: _ProgressRecords, session: WorkerSession
    ) -> StageOutcome:
        from autograder.training.run import StageRun, decide

        lab, data = training.inputs.lab, training.inputs.data(self.stage)
        records.progress.total(self.stage.steps(lab))
        found: StageOutcome = (training.decide or decide)(
            session, StageRun(lab, self.stage, self.code, seed, data, records)
        )
        return found


class _ProgressRecords:
    """Receives the records of a stage: shows optimiser steps as progress, and sums the seconds in the sandbox.

    Student code may forge a record, so no content of a record may raise an exception here.
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
