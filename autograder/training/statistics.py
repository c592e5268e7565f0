"""The statistics by which training tests are decided: pure functions of numbers, in float64."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence


class Paired(NamedTuple):
    """A paired comparison. gain: mean of after − before. p: one-sided p-value of the hypothesis that it is not above
    0."""

    gain: float
    p: float


def paired_gain(before: np.ndarray, after: np.ndarray) -> Paired:
    """Test with a one-sided paired t test whether `after` exceeds `before`; both are (n,), n ≥ 2, and finite.

    If all differences are equal, the t statistic is not defined: then p is 0 for a gain and 1 otherwise.
    """
    difference = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    gain, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread <= 1e-12 * max(1.0, abs(gain)):
        return Paired(gain, 0.0 if gain > 0 else 1.0)
    t = gain / (spread / math.sqrt(len(difference)))
    return Paired(gain, float(stats.t.sf(t, len(difference) - 1)))


def wilson(successes: float, n: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927). Half successes (ties) are allowed."""
    if n < 1:
        raise ValueError("an interval needs at least one observation")
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def trend(values: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation of a curve with its order, in [-1, 1]; None for a constant curve or fewer than
    three points."""
    if len(values) < 3 or len(set(values)) < 2:
        return None
    return float(stats.spearmanr(range(len(values)), values).statistic)


def bootstrap_interval(values: np.ndarray, confidence: float, draws: int, seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of (n,) values (Efron 1979)."""
    generator = np.random.default_rng(seed)
    means = values[generator.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
