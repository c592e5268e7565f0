"""What a training test finds, before points: a verdict with its evidence, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autograder.core.failures import GraderFailure
from autograder.core.messages import STATUS, seen_and_tip
from autograder.core.records import Status


@dataclass(frozen=True)
class Outcome:
    """One item, measured. value: the statistic as text (for the success criteria).
    message: a sentence if it passed, else what was seen and what to try.
    near: failed by no more than the registry's margin. share: part of the points earned."""

    passed: bool
    near: bool
    share: float
    message: str
    value: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The item's status."""
        return "passed" if self.passed else "partial" if self.share > 0 else "wrong"


@dataclass(frozen=True)
class Failure:
    """The stage gave nothing to measure. message: as an Outcome's; evidence: what the TA sees."""

    status: Status
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def ours(cls, failure: GraderFailure) -> Failure:
        """A failure of the grader."""
        return cls("not_gradable", STATUS["not_gradable"].sentence, failure.evidence)


class Unusable(ValueError):
    """What came back cannot be measured; the text is ours: what was seen, and what the student may try."""

    def __init__(self, seen: str, tip: str) -> None:
        super().__init__(seen_and_tip(seen, tip))
