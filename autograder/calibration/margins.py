"""The distance of a sample of runs to the threshold, and what it says about further runs.

If runs are normal, at most a share `error` of further runs crosses a threshold that is at least k standard deviations
away from the mean of n runs, with confidence CONFIDENCE. k is the factor of a one-sided tolerance limit (Hahn and
Meeker 1991, Statistical Intervals, 4.6). If runs are not normal, there are only their counts and Cantelli's inequality,
which holds for every distribution with the mean and the standard deviation of the sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIDENCE = 0.95
# Samples with a smaller p-value of Shapiro–Wilk's test do not use the normal fit. About a hundred samples are tested:
# .05 would reject several normal ones by chance.
NORMAL_P_MIN = 0.01
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Margin:
    """Distance of n runs to a threshold. distance: of the mean to the nearest end that it must not cross, in standard
    deviations; negative on the wrong side. normal_p: p-value of Shapiro–Wilk's test, None for fewer than three values
    or for equal ones."""

    n: int
    mean: float
    deviation: float
    distance: float
    normal_p: float | None

    @property
    def normal(self) -> bool:
        """Return False if the runs are visibly not normal, so that the normal fit does not apply."""
        return self.normal_p is None or self.normal_p >= NORMAL_P_MIN

    def far(self, error: float) -> bool:
        """Return whether normal runs at this distance have at most a share `error` beyond the threshold."""
        return self.n >= 2 and self.distance >= tolerance_factor(self.n, error)

    def holds(self, error: float) -> bool:
        """Return whether at most a share `error` of further runs crosses: normal or not, the distance is large
        enough."""
        return self.far(error) and (self.normal or cantelli(self.distance) <= error)


def cantelli(distance: float) -> float:
    """Return the largest share of a distribution that can lie so many standard deviations or more beyond its mean, on
    one side (Cantelli 1928)."""
    return 1 / (1 + distance**2) if distance > 0 else 1.0


def tolerance_factor(n: int, error: float, confidence: float = CONFIDENCE) -> float:
    """Return k of the one-sided normal tolerance limit: mean + k·s exceeds a share 1 − error, with this confidence."""
    z = float(stats.norm.ppf(1 - error))
    return float(stats.nct.ppf(confidence, n - 1, z * math.sqrt(n)) / math.sqrt(n))


def margin_inside(values: Sequence[float], allowed: Range) -> Margin:
    """Return the margin of runs that must stay inside the range: to the nearer end."""
    low, high = allowed
    return _margin(values, lambda mean: min([*_gap(mean, low), *_gap(high, mean)]))


def margin_outside(values: Sequence[float], allowed: Range) -> Margin:
    """Return the margin of runs that must stay outside the range: from the end that they are farther beyond."""
    low, high = allowed
    return _margin(values, lambda mean: max([*_gap(low, mean), *_gap(mean, high)]))


def widened(allowed: Range, slack: float) -> Range:
    """Return the range with `slack` more at either end."""
    low, high = allowed
    return (None if low is None else low - slack), (None if high is None else high + slack)


def _gap(upper: float | None, lower: float | None) -> list[float]:
    return [] if upper is None or lower is None else [upper - lower]


def _margin(values: Sequence[float], gap: Callable[[float], float]) -> Margin:
    x = np.asarray(values, dtype=np.float64)
    mean, deviation = float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else math.nan
    equal = len(x) < 3 or float(np.ptp(x)) <= 1e-9 * max(1.0, abs(mean))
    if deviation > 1e-9 * max(1.0, abs(mean)):
        distance = gap(mean) / deviation
    else:
        distance = math.copysign(math.inf, gap(mean)) if len(x) > 1 else math.nan
    return Margin(len(x), mean, deviation, distance, None if equal else float(stats.shapiro(x).pvalue))


def error_upper_bound(failures: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Return Clopper–Pearson's one-sided upper bound on a failure rate, from the counts alone."""
    return 1.0 if failures >= n else float(stats.beta.ppf(confidence, failures + 1, n - failures))
