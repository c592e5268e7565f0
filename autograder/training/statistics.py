"""The statistics that the training tests decide by. Pure functions of numbers, float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Paired(NamedTuple):
    """A paired comparison: mean of (after − before), and the one-sided p that it is not above 0."""

    gain: float
    p: float


def paired_gain(before: np.ndarray, after: np.ndarray) -> Paired:
    """One-sided paired t test of "after exceeds before"; both (n,), n ≥ 2, finite.

    Where all differences are equal the t statistic has no spread: p is 0 for a gain and 1 otherwise.
    """
    difference = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    gain, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread <= 1e-12 * max(1.0, abs(gain)):
        return Paired(gain, 0.0 if gain > 0 else 1.0)
    t = gain / (spread / math.sqrt(len(difference)))
    return Paired(gain, float(stats.t.sf(t, len(difference) - 1)))


def wilson(successes: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); half successes (ties) are allowed."""
    if n < 1:
        raise ValueError("an interval needs at least one observation")
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def trend(values: Sequence[float]) -> float | None:
    """Spearman's rank correlation of a curve with its order, in [-1, 1]; None for a constant curve."""
    if len(values) < 3 or len(set(values)) < 2:
        return None
    return float(stats.spearmanr(range(len(values)), values).statistic)


def bootstrap_interval(values: np.ndarray, confidence: float, draws: int, seed: int) -> tuple[float, float]:
    """Percentile interval of the mean of (n,) values over resampled rows (Efron 1979)."""
    generator = np.random.default_rng(seed)
    means = values[generator.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
