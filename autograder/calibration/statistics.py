"""What each training test decides by, as one number with its bar, and how far from the bar a sample keeps.

A sample of n runs bounds what further runs do: if they are normal, the bar lies beyond all but a share
`error` of them, with confidence CONFIDENCE, where the mean keeps at least k standard deviations from it;
k is the factor of a one-sided tolerance limit (Hahn and Meeker 1991, Statistical Intervals, 4.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from assignment.spec import Thresholds

CONFIDENCE = 0.95
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Statistic:
    """One number that an item is decided by. read: from an outcome's evidence. allowed: lowest and highest
    value that passes; None where there is no such end. near: a miss by no more than this gets fresh seeds."""

    item: str
    name: str
    label: str
    read: Callable[[Mapping[str, Any]], float]
    allowed: Callable[[Thresholds], Range]
    near: Callable[[Thresholds], float]


STATISTICS: tuple[Statistic, ...] = (
    Statistic(
        "sft_loss_trend",
        "ratio",
        "held-out loss, end / start",
        lambda evidence: evidence["ratio"],
        lambda bars: (None, bars.sft_loss_trend.final_ratio_max),
        lambda bars: bars.sft_loss_trend.near,
    ),
    Statistic(
        "rm_accuracy",
        "lower_end",
        "lower end of the 95% interval of accuracy",
        lambda evidence: evidence["interval"][0],
        lambda bars: (bars.rm_accuracy.lower_bound_min, None),
        lambda bars: bars.rm_accuracy.near,
    ),
    Statistic(
        "rm_accuracy",
        "style",
        "score of the run's closing over other closings (standard deviations of scores)",
        lambda evidence: evidence["style"],
        lambda bars: (bars.rm_accuracy.style_min, None),
        lambda bars: bars.rm_accuracy.style_near,
    ),
    Statistic(
        "ppo_reward",
        "gain",
        "reward gain over SFT (standard deviations of the reward model)",
        lambda evidence: evidence["gain"],
        lambda bars: (bars.ppo_reward.gain_min, None),
        lambda bars: bars.ppo_reward.near,
    ),
    Statistic(
        "ppo_reward",
        "gold_gain",
        "gold reward gain over SFT",
        lambda evidence: evidence["gold_gain"],
        lambda bars: (-bars.ppo_reward.gold_drop_max, None),
        lambda bars: bars.ppo_reward.near,
    ),
    Statistic(
        "ppo_reward",
        "style",
        "rise of the share of replies with the run's closing",
        lambda evidence: evidence["style"],
        lambda bars: (bars.ppo_reward.style_min, None),
        lambda bars: bars.ppo_reward.near,
    ),
    Statistic(
        "ppo_kl",
        "kl",
        "KL to SFT (nats per sequence)",
        lambda evidence: evidence["kl"],
        lambda bars: (bars.ppo_kl.min, bars.ppo_kl.max),
        lambda bars: bars.ppo_kl.near,
    ),
)


@dataclass(frozen=True)
class Margin:
    """How far n runs keep from a bar. distance: of the mean to the nearest end it must not cross, in standard
    deviations, negative on the wrong side. normal_p: Shapiro–Wilk's p; None for fewer than 3 or equal values."""

    n: int
    mean: float
    deviation: float
    distance: float
    normal_p: float | None

    def holds(self, error: float) -> bool:
        """True if at most a share `error` of further runs is expected beyond the bar, with CONFIDENCE."""
        return self.n >= 2 and self.distance >= tolerance_factor(self.n, error)


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
