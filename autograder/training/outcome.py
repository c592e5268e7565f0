"""The result of a training test before points: an outcome with its evidence, or why there is nothing to measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autograder.core.messages import STATUS, seen_and_tip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.core.failures import GraderFailure
    from autograder.core.records import Status


@dataclass(frozen=True)
class Outcome:
    """One measured item. close: it failed by no more than the registry's retry margin. share: part of the points that
    it earns. message: a sentence if it passed, else what was seen and what to try. value: the statistic as text, for
    the success criteria."""

    passed: bool
    close: bool
    share: float
    message: str
    value: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """Return the item's status in the report."""
        return "passed" if self.passed else "partial" if self.share > 0 else "wrong"


@dataclass(frozen=True)
class Failure:
    """A stage without anything to measure. message: as an Outcome's. evidence: what the TA sees."""

    status: Status
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_grader(cls, failure: GraderFailure) -> Failure:
        """Return the failure of items that the grader could not grade because of an error of its own."""
        return cls("not_gradable", STATUS["not_gradable"].sentence, failure.evidence)


class UnusableError(ValueError):
    """The worker returned something that cannot be measured. The text, which students read, quotes nothing of theirs:
    it says what was seen, and what to try."""

    def __init__(self, seen: str, tip: str) -> None:
        super().__init__(seen_and_tip(seen, tip))
