"""What the runs show: one finding for each subject and statistic. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograder.calibration.margins import Margin, Range, margin_inside, margin_outside, widened
from autograder.calibration.statistics import Statistic, of_items
from autograder.calibration.tables import MEASURED

if TYPE_CHECKING:
    from assignment.registry import Thresholds
    from autograder.calibration.subjects import Subject

FALSE_ALARM, FALSE_PASS = 0.001, 0.01  # target rates: P(fail | correct code), P(pass | wrong code)
# Target rate of correct code's first runs that fresh seeds decide. In 2% of these one of the two fresh runs misses too.
FIRST_MISS = 0.01
Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Finding:
    """One subject and one statistic of an item. must: "pass" or "fail"; "any" if the subject is not expected to fail by
    this statistic. values: of the runs that gave weights. broken: how many gave none. passed: how many passed the item,
    by all its statistics and today's thresholds. margin: distance of the values to the range, on the statistic's scale.
    allowed: the range. seconds: duration of a run, on average."""

    subject: Subject
    statistic: Statistic
    must: str
    values: tuple[float, ...]
    broken: int
    passed: int
    margin: Margin | None
    allowed: Range
    retry_margin: float
    seconds: float

    @property
    def n(self) -> int:
        """Return the number of runs."""
        return len(self.values) + self.broken

    @property
    def error(self) -> float:
        """Return the target rate of wrong verdicts."""
        return FALSE_ALARM if self.must == "pass" else FALSE_PASS

    @property
    def wrong_verdicts(self) -> int:
        """Return how many runs got the wrong verdict, before fresh seeds. A run without weights is one of them, even of
        wrong code, which has to fail by what it learned."""
        return {"pass": self.n - self.passed, "fail": self.passed + self.broken, "any": 0}[self.must]

    @property
    def holds(self) -> bool:
        """Return whether the margin supports the target rate."""
        if self.must == "any":
            return True
        return self.wrong_verdicts == 0 and self.margin is not None and self.margin.holds(self.error)

    @property
    def widened_margin(self) -> Margin | None:
        """Return correct code's margin to the range widened by the retry margin, within which fresh seeds decide; None
        if they never do."""
        if self.must != "pass" or not self.values or not 0 < self.retry_margin < math.inf:
            return None
        return margin_inside(*_scaled(self.statistic, self.values, widened(self.allowed, self.retry_margin)))

    @property
    def holds_with_fresh_seeds(self) -> bool:
        """Return whether few of correct code's runs miss the range, and few enough by more than the retry margin."""
        if self.wrong_verdicts or self.margin is None or self.widened_margin is None:
            return False
        return self.margin.holds(FIRST_MISS) and self.widened_margin.holds(self.error)


def findings(runs: Iterable[tuple[Subject, Rows]], thresholds: Thresholds) -> list[Finding]:
    """Return the findings of all subjects that have runs."""
    return [
        _finding(subject, statistic, rows, thresholds)
        for subject, rows in runs
        for statistic in of_items(subject.stage.items)
        if rows
    ]


def _finding(subject: Subject, statistic: Statistic, rows: Rows, thresholds: Thresholds) -> Finding:
    measured = [row for row in rows if row["status"] == MEASURED]
    values = tuple(float(row[statistic.name]) for row in measured)
    allowed = statistic.allowed(thresholds)
    decides = subject.fails.get(statistic.item) == statistic.name
    must = "pass" if subject.kind != "near_miss" else "fail" if decides else "any"
    measure = margin_inside if must == "pass" else margin_outside
    return Finding(
        subject,
        statistic,
        must,
        values,
        broken=len(rows) - len(measured),
        passed=sum(passes(row, statistic.item, thresholds) for row in measured),
        margin=measure(*_scaled(statistic, values, allowed)) if values else None,
        allowed=allowed,
        retry_margin=statistic.retry_margin(thresholds),
        seconds=sum(float(row["seconds"]) for row in rows) / len(rows),
    )


def _scaled(statistic: Statistic, values: Sequence[float], allowed: Range) -> tuple[list[float], Range]:
    scale = statistic.scale.apply
    low, high = (None if end is None else scale(end) for end in allowed)
    return [scale(value) for value in values], (low, high)


def passes(row: Mapping[str, str], item: str, thresholds: Thresholds) -> bool:
    """Return whether a run passes an item with these thresholds, by all its statistics."""
    return all(one.inside(float(row[one.name]), thresholds) for one in of_items((item,)))


def wrong_verdicts_by_item(found: Iterable[Finding]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (wrong verdicts, runs) by (subject, item), where there are any. Of an item with several statistics each
    run counts once."""
    return {(one.subject.id, one.statistic.item): (one.wrong_verdicts, one.n) for one in found if one.wrong_verdicts}
