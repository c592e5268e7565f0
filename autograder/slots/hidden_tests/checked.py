"""The answers to a slot's cases with the outcome of every check: what is reported and explained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autograder.slots.hidden_tests.base import Case, CaseAnswer, HiddenTest, Residual


@dataclass(frozen=True)
class CheckedAnswers:
    """One run of a hidden test.

    function: the name under which the slot was called. seed: the run's; case i was run with seed + i. residuals: one
    per check, in the order of the cases.
    """

    test: HiddenTest
    function: str
    cases: Sequence[Case]
    answers: Sequence[CaseAnswer]
    seed: int
    residuals: Sequence[Residual]

    @property
    def failed(self) -> list[Residual]:
        """The residuals of the checks that do not hold."""
        return [residual for residual in self.residuals if residual.fault]

    def only(self, case: int) -> CheckedAnswers:
        """The part of this run that belongs to one case."""
        residuals = [replace(residual, case=0) for residual in self.residuals if residual.case == case]
        return replace(
            self, cases=[self.cases[case]], answers=[self.answers[case]], seed=self.seed + case, residuals=residuals
        )


def check(
    test: HiddenTest, function: str, cases: Sequence[Case], answers: Sequence[CaseAnswer], seed: int
) -> CheckedAnswers:
    """Compare the answers with what the test expects."""
    return CheckedAnswers(test, function, cases, answers, seed, test.compare(cases, answers))
