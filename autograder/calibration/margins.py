"""How far from the bar a sample of runs keeps, and what that says about further runs.

A sample of n runs bounds what further runs do: if they are normal, the bar lies beyond all but a share
`error` of them, with confidence CONFIDENCE, where the mean keeps at least k standard deviations from it;
k is the factor of a one-sided tolerance limit (Hahn and Meeker 1991, Statistical Intervals, 4.6). Where they
are not, the counts speak, and Cantelli's inequality, which holds for any distribution (of the mean and the
standard deviation that the sample shows).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
# Below this p of Shapiro and Wilk the normal fit is not used: about a hundred samples are tested, so that .05
# would set aside several of the normal ones by chance.
NORMAL_P_MIN = 0.01
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Margin:
    """How far n runs keep from a bar. distance: of the mean to the nearest end it must not cross, in standard
    deviations, negative on the wrong side. normal_p: Shapiro–Wilk's p; None for fewer than 3 or equal values."""

    n: int
    mean: float
    deviation: float
    distance: float
    normal_p: float | None

    @property
    def normal(self) -> bool:
        """False where the runs are visibly not normal, so that only their counts may be used."""
        return self.normal_p is None or self.normal_p >= NORMAL_P_MIN

    def far(self, error: float) -> bool:
        """True if normal runs that keep this distance leave at most a share `error` beyond the bar."""
        return self.n >= 2 and self.distance >= tolerance_factor(self.n, error)

    def holds(self, error: float) -> bool:
        """True if that may be said of these runs: they are far, and normal or else so far that it does not matter."""
        return self.far(error) and (self.normal or cantelli(self.distance) <= error)


def cantelli(distance: float) -> float:
    """Largest share of any distribution that lies this many standard deviations or more beyond its mean, on one
    side (Cantelli 1928)."""
    return 1 / (1 + distance**2) if distance > 0 else 1.0


def tolerance_factor(n: int, error: float, confidence: float = CONFIDENCE) -> float:
    """k of the one-sided normal tolerance limit: mean + k·s exceeds a share 1 − error, with this confidence."""
    z = float(stats.norm.ppf(1 - error))
    return float(stats.nct.ppf(confidence, n - 1, z * math.sqrt(n)) / math.sqrt(n))


def margin_inside(values: Sequence[float], allowed: Range) -> Margin:
    """Margin of runs that must stay inside the allowed range: to the nearer end."""
    low, high = allowed
    return _margin(values, lambda mean: min([*_gap(mean, low), *_gap(high, mean)]))


def margin_outside(values: Sequence[float], allowed: Range) -> Margin:
    """Margin of runs that must stay outside: beyond the end that they are farther beyond."""
    low, high = allowed
    return _margin(values, lambda mean: max([*_gap(low, mean), *_gap(mean, high)]))


def widened(allowed: Range, slack: float) -> Range:
    """The range with `slack` more at either end."""
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
    """Clopper–Pearson's upper end of a failure rate (one-sided): what the counts alone can show."""
    return 1.0 if failures >= n else float(stats.beta.ppf(confidence, failures + 1, n - failures))
