"""The context of one grading run, and the signature of its steps.

A step takes the run and the results so far, and returns the results of the items that it grades. The functions that a
step calls take the values that they need, not the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from autograder.core.failures import GraderFailure, guarded, not_gradable
from autograder.core.records import Answers, ItemResult

if TYPE_CHECKING:
    from assignment.registry import ItemKind, Spec
    from autograder.core.progress import GradingProgress
    from autograder.core.selection import Selection
    from autograder.sandbox import WorkerSession
    from autograder.sandbox.pool import WorkerPool


class TrainingInputs(Protocol):
    """The inputs of the training tests, prepared in the background while slots are tested (training.prepare)."""

    @property
    def lab(self) -> Any:
        """Reference weights, configs and thresholds. Waits until they are loaded."""

    def data(self, stage: Any) -> Any:
        """The data of a stage. Waits until they are drawn."""


@dataclass(frozen=True)
class TrainingRuntime:
    """What the training tests run on.

    decide: runs a stage and decides its items; None means `training.run.decide`. The grading matrix (tests/matrix)
    passes a function that reuses the outcomes of stages that it has run before.
    """

    pool: WorkerPool
    inputs: TrainingInputs
    decide: Callable[..., Any] | None = None


@dataclass(frozen=True)
class GradingContext:
    """One grading run.

    session: None if there is nothing to run, or no sandbox works. tier: the sandbox, as the report names it. training:
    None if nothing is to be trained; a failure if its preparation could not begin.
    """

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
    """Decorator for the step that grades the items of one kind. If the step raises an exception, its selected items
    become `not_gradable`, and the other steps go on."""

    def failed(failure: GraderFailure, run: GradingContext, _: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
        return {item: not_gradable(item, failure) for item in run.selection.of(kind)}

    return guarded(failed)
