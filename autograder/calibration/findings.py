"""What the runs so far show: margins and error rates, one finding a subject and statistic. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assignment.spec import Thresholds
from autograder.calibration.margins import Margin, Range, margin_inside, margin_outside
from autograder.calibration.statistics import Statistic, of_items
from autograder.calibration.subjects import Subject
from autograder.calibration.tables import MEASURED

FALSE_ALARM, FALSE_PASS = 0.001, 0.01  # the rates aimed at: P(fail | right code), P(pass | near miss)
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
    measure, scale = margin_inside if must == "pass" else margin_outside, statistic.scale.apply
    ends = (None if end is None else scale(end) for end in allowed)
    margin = measure([scale(value) for value in values], tuple(ends)) if values else None  # type: ignore[arg-type]
    return Finding(
        subject,
        statistic,
        must,
        values,
        broken=len(rows) - len(measured),
        passed=sum(passes(row, statistic.item, bars) for row in measured),
        margin=margin,
        allowed=allowed,
        near=statistic.near(bars),
        seconds=sum(float(row["seconds"]) for row in rows) / len(rows),
    )


def passes(row: Mapping[str, str], item: str, bars: Thresholds) -> bool:
    """Is this run's item passed under these bars, by its statistics?"""
    return all(one.inside(float(row[one.name]), bars) for one in of_items((item,)))


def judged_wrongly(found: Iterable[Finding]) -> dict[tuple[str, str], tuple[int, int]]:
    """(subject, item) -> wrong verdicts and runs, where there are any. Each run counts once an item, by however many
    statistics the item is decided."""
    return {(one.subject.id, one.statistic.item): (one.mistakes, one.n) for one in found if one.mistakes}
