"""95% intervals of shares and of differences of shares that were measured over several seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Z = 1.959964  # two-sided 95% of the normal distribution
DRAWS = 10_000
# With fewer seeds a bootstrap over seeds says little, and replies are pooled as if they were independent.
SEEDS_FOR_BOOTSTRAP = 5


@dataclass(frozen=True)
class Estimate:
    """A pooled share or difference with its interval."""

    value: float
    low: float
    high: float


def share(hits: Sequence[int], n: Sequence[int]) -> Estimate:
    """Estimate a share from hits of n in each seed: bootstrap over seeds, or Wilson's interval with few seeds."""
    value = sum(hits) / sum(n)
    if len(n) >= SEEDS_FOR_BOOTSTRAP:
        return Estimate(value, *_bootstrap(hits, n))
    total = sum(n)
    centre = (value + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(value * (1 - value) / total + Z**2 / (4 * total**2))
    return Estimate(value, centre - half, centre + half)


def difference(first_only: Sequence[int], second_only: Sequence[int], n: Sequence[int]) -> Estimate:
    """Estimate by how much the second model's share is higher, from pairs of answers to the same questions: bootstrap
    over seeds, or with few seeds the interval of Agresti and Min (2005), a half added to each cell of the table."""
    gains = [b - a for a, b in zip(first_only, second_only, strict=True)]
    value = sum(gains) / sum(n)
    if len(n) >= SEEDS_FOR_BOOTSTRAP:
        return Estimate(value, *_bootstrap(gains, n))
    a, b, total = sum(first_only) + 0.5, sum(second_only) + 0.5, sum(n) + 2
    centre = (b - a) / total
    half = Z * math.sqrt((a + b) / total - centre**2) / math.sqrt(total)
    return Estimate(value, centre - half, centre + half)


def _bootstrap(counts: Sequence[int], n: Sequence[int]) -> tuple[float, float]:
    """Return the percentile interval of Σ counts / Σ n over resampled seeds."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(n), size=(DRAWS, len(n)))
    ratios = np.asarray(counts)[drawn].sum(1) / np.asarray(n)[drawn].sum(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
