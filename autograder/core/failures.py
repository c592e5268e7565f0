"""Grader errors. They are recorded for the TA and never cost the student points."""

from __future__ import annotations

import functools
import logging
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from autograder.core.messages import STATUS
from autograder.core.records import ItemResult

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger("rlhf-lab")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class GraderFailure:
    """Why the grader could not grade something. traceback: empty if no exception was raised."""

    reason: str
    traceback: str = ""

    @property
    def evidence(self) -> dict[str, str]:
        """The failure as evidence for the TA."""
        return {"reason": self.reason, **({"traceback": self.traceback} if self.traceback else {})}


NO_SANDBOX = GraderFailure("no sandbox works on this machine")


def not_gradable(item: str, failure: GraderFailure) -> ItemResult:
    """The result of an item that the grader could not grade."""
    return ItemResult(item, "not_gradable", 0.0, STATUS["not_gradable"].sentence, evidence=failure.evidence)


def guarded(otherwise: Callable[..., R]) -> Callable[[Callable[P, T]], Callable[P, T | R]]:
    """Decorator: if the function raises an exception, return `otherwise(failure, *arguments)`. Interrupts pass."""

    def decorate(function: Callable[P, T]) -> Callable[P, T | R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T | R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                LOG.debug("grader failure", exc_info=True)
                reason = f"{type(error).__name__}: {error}"[:500]
                failure = GraderFailure(reason, traceback.format_exc(limit=-12)[-4000:])
            return otherwise(failure, *args, **kwargs)

        return call

    return decorate
