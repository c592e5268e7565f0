"""What the runs so far show: margins and error rates, one finding a subject and statistic. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from assignment.spec import Thresholds
from autograder.calibration.statistics import (
    STATISTICS,
    Margin,
    Range,
    Statistic,
    error_upper_bound,
    margin_inside,
    margin_outside,
)
from autograder.calibration.subjects import Subject

FALSE_ALARM, FALSE_PASS = 0.001, 0.01  # the rates aimed at: P(fail | right code), P(pass | near miss)
Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Finding:
    """One subject under one statistic. must: "pass" or "fail", or "any" where this statistic decides nothing
    about the subject. values: one a run that gave weights; broken: runs that gave none, which fail the item."""

    subject: Subject
    statistic: Statistic
    must: str
    values: tuple[float, ...]
    broken: int
    passed: int
    near: int
    margin: Margin | None
    allowed: Range

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
        """Runs that were judged wrongly, before fresh seeds."""
        return {"pass": self.n - self.passed, "fail": self.passed, "any": 0}[self.must]

    @property
    def holds(self) -> bool:
        """True if the margin supports the rate aimed at."""
        if self.must == "any" or self.margin is None:
            return self.must == "any" or (self.must == "fail" and self.broken == self.n > 0)
        return self.mistakes == 0 and self.margin.holds(self.error)

    @property
    def at_most(self) -> float:
        """Upper end (95%) of the rate of wrong verdicts from the counts alone."""
        return error_upper_bound(self.mistakes, self.n)


def findings(runs: Iterable[tuple[Subject, Rows]], bars: Thresholds) -> list[Finding]:
    """All findings, subjects without a run left out."""
    return [
        _finding(subject, statistic, rows, bars)
        for subject, rows in runs
        for statistic in STATISTICS
        if statistic.item in subject.stage.items and rows
    ]


def _finding(subject: Subject, statistic: Statistic, rows: Rows, bars: Thresholds) -> Finding:
    measured = [row for row in rows if row["status"] == "measured"]
    values = tuple(float(row[statistic.name]) for row in measured)
    allowed = statistic.allowed(bars)
    right = subject.kind != "near_miss"
    must = "pass" if right else "fail" if _decides(subject, statistic, rows, bars) else "any"
    margin = None
    if values:
        margin = (margin_inside if must == "pass" else margin_outside)(values, allowed)
    passed = [row for row in measured if row[f"{statistic.item}.passed"] == "1"]
    near = sum(row[f"{statistic.item}.near"] == "1" for row in measured)
    return Finding(subject, statistic, must, values, len(rows) - len(measured), len(passed), near, margin, allowed)


def _decides(subject: Subject, statistic: Statistic, rows: Rows, bars: Thresholds) -> bool:
    """Of several statistics of an item that a near miss has to fail, the one that keeps farthest outside."""
    if statistic.item not in subject.fails:
        return False
    rivals = [one for one in STATISTICS if one.item == statistic.item]
    measured = [row for row in rows if row["status"] == "measured"]
    if not measured or len(rivals) == 1:
        return True
    distance = {
        one.name: margin_outside([float(row[one.name]) for row in measured], one.allowed(bars)).distance
        for one in rivals
    }
    return distance[statistic.name] == max(distance.values())


def chance_of_failing(values: Sequence[float], allowed: Range, near: float) -> float:
    """P(a right submission fails) from a normal fit, fresh seeds included.

    It fails where the first run misses the bar by more than `near`, or misses it by less and the two fresh
    runs do not both pass. A run misses at either end.
    """
    fit = margin_inside(values, allowed)
    normal = stats.norm(fit.mean, fit.deviation)
    low, high = allowed

    def miss(slack: float) -> float:
        below = 0.0 if low is None else float(normal.cdf(low - slack))
        return below + (0.0 if high is None else float(normal.sf(high + slack)))

    first, far = miss(0.0), miss(near)
    return far + (first - far) * (1 - (1 - first) ** 2)
