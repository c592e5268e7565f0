"""What the runs so far show: margins and error rates, one finding a subject and statistic. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assignment.registry import Thresholds
from autograder.calibration.margins import Margin, Range, margin_inside, margin_outside, widened
from autograder.calibration.statistics import Statistic, of_items
from autograder.calibration.subjects import Subject
from autograder.calibration.tables import MEASURED

FALSE_ALARM, FALSE_PASS = 0.001, 0.01  # the rates aimed at: P(fail | right code), P(pass | near miss)
FIRST_MISS = 0.01  # of right code's first runs that fresh seeds may have to decide: one of two fails in 2% of those
Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Finding:
    """One subject under one statistic of an item. must: "pass" or "fail", or "any" where this statistic decides
    nothing about the subject. values: one a run that gave weights; broken: runs that gave none; passed: runs that
    passed the item, by all its statistics under today's bars; seconds: what a run took on average. margin: of the
    values and the bar on the statistic's scale."""

    subject: Subject
    statistic: Statistic
    must: str
    values: tuple[float, ...]
    broken: int
    passed: int
    margin: Margin | None
    allowed: Range
    near: float
    seconds: float

    @property
    def n(self) -> int:
        """Runs."""
        return len(self.values) + self.broken

    @property
    def error(self) -> float:
        """The rate aimed at."""
        return FALSE_ALARM if self.must == "pass" else FALSE_PASS

    @property
    def mistakes(self) -> int:
        """Runs that were judged wrongly, before fresh seeds. A run without weights shows nothing about the test and
        is one of them, of whatever code: near misses are to fail by what they learned."""
        return {"pass": self.n - self.passed, "fail": self.passed + self.broken, "any": 0}[self.must]

    @property
    def holds(self) -> bool:
        """True if the margin supports the rate aimed at."""
        if self.must == "any":
            return True
        return self.mistakes == 0 and self.margin is not None and self.margin.holds(self.error)

    @property
    def final(self) -> Margin | None:
        """Right code's margin to the bar widened by `near`, up to which fresh seeds decide, or None if none do."""
        if self.must != "pass" or not self.values or not 0 < self.near < math.inf:
            return None
        return margin_inside(*_scaled(self.statistic, self.values, widened(self.allowed, self.near)))

    @property
    def holds_with_fresh_seeds(self) -> bool:
        """True if few of right code's runs miss the bar, and few enough of these by more than `near`."""
        if self.mistakes or self.margin is None or self.final is None:
            return False
        return self.margin.holds(FIRST_MISS) and self.final.holds(self.error)


def findings(runs: Iterable[tuple[Subject, Rows]], bars: Thresholds) -> list[Finding]:
    """All findings, subjects without a run left out."""
    return [
        _finding(subject, statistic, rows, bars)
        for subject, rows in runs
        for statistic in of_items(subject.stage.items)
        if rows
    ]


def _finding(subject: Subject, statistic: Statistic, rows: Rows, bars: Thresholds) -> Finding:
    measured = [row for row in rows if row["status"] == MEASURED]
    values = tuple(float(row[statistic.name]) for row in measured)
    allowed = statistic.allowed(bars)
    decides = subject.fails.get(statistic.item) == statistic.name
    must = "pass" if subject.kind != "near_miss" else "fail" if decides else "any"
    measure = margin_inside if must == "pass" else margin_outside
    return Finding(
        subject,
        statistic,
        must,
        values,
        broken=len(rows) - len(measured),
        passed=sum(passes(row, statistic.item, bars) for row in measured),
        margin=measure(*_scaled(statistic, values, allowed)) if values else None,
        allowed=allowed,
        near=statistic.near(bars),
        seconds=sum(float(row["seconds"]) for row in rows) / len(rows),
    )


def _scaled(statistic: Statistic, values: Sequence[float], allowed: Range) -> tuple[list[float], Range]:
    scale = statistic.scale.apply
    low, high = (None if end is None else scale(end) for end in allowed)
    return [scale(value) for value in values], (low, high)


def passes(row: Mapping[str, str], item: str, bars: Thresholds) -> bool:
    """Is this run's item passed under these bars, by its statistics?"""
    return all(one.inside(float(row[one.name]), bars) for one in of_items((item,)))


def judged_wrongly(found: Iterable[Finding]) -> dict[tuple[str, str], tuple[int, int]]:
    """(subject, item) -> wrong verdicts and runs, where there are any. Each run counts once an item, by however many
    statistics the item is decided."""
    return {(one.subject.id, one.statistic.item): (one.mistakes, one.n) for one in found if one.mistakes}
