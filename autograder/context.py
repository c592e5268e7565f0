"""One grading run in one object, and the shape of its steps.

A step takes the run and the results so far, and returns the results of the items that it grades. Below the steps
functions take the values that they need, not the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from assignment.registry import ItemKind, Spec
from autograder.core.failures import GraderFailure, guarded, not_gradable
from autograder.core.progress import GradingProgress
from autograder.core.records import Answers, ItemResult
from autograder.core.selection import Selection

if TYPE_CHECKING:  # their libraries take a while to import, and a blank notebook needs none of them
    from autograder.sandbox import WorkerSession
    from autograder.sandbox.pool import WorkerPool


class TrainingInputs(Protocol):
    """What the training tests start from, made in the background while slots are tested (training.prepare)."""

    @property
    def lab(self) -> Any:
        """Reference weights, configs and thresholds, once they are loaded."""

    def data(self, stage: Any) -> Any:
        """A stage's data, once they are drawn."""


@dataclass(frozen=True)
class TrainingRuntime:
    """What the training tests run on. decide: runs a stage and judges it; None for `training.run.decide` (the proof
    of the grader puts one in its place that remembers what it has run)."""

    pool: WorkerPool
    inputs: TrainingInputs
    decide: Callable[..., Any] | None = None


@dataclass(frozen=True)
class GradingContext:
    """One grading run. session: None if nothing is to be run, or no sandbox works. tier: the sandbox, for the report.
    training: None if nothing is to be trained; a failure if its preparation could not begin."""

    spec: Spec
    answers: Answers
    selection: Selection
    profile: str
    device: str
    seed: int
    progress: GradingProgress
    session: WorkerSession | None = None
    tier: str = ""
    training: TrainingRuntime | GraderFailure | None = None


GradingStep = Callable[[GradingContext, Mapping[str, ItemResult]], dict[str, ItemResult]]


def grading_step(kind: ItemKind) -> Callable[[GradingStep], GradingStep]:
    """Decorator of the step that grades the items of one kind. It grades nothing if none of them is selected; if it
    fails, they are `not_gradable`, and the other steps go on."""

    def failed(failure: GraderFailure, run: GradingContext, _: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
        return {item: not_gradable(item, failure) for item in run.selection.of(kind)}

    return guarded(failed)
