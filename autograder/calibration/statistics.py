"""What each training test decides by, as numbers with their bars.

An item passes exactly where all its statistics are inside: nothing that it is decided by is left out here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from assignment.registry import Thresholds
from autograder.calibration.margins import Range

P_LEAST = 1e-300  # p-values of a clear case underflow; their logarithm ends here
NO_NUMBER = 1e12  # the deviation of a field that is missing or NaN
ALMOST_ONE, ALMOST_NOTHING = 1 - 1e-9, 1e-6  # where a scale's function ends


class Scale(NamedTuple):
    """A rising function of a statistic whose values are closer to normal than its own, and the way back. words: what
    the document calls it."""

    words: str
    apply: Callable[[float], float]
    back: Callable[[float], float]


PLAIN = Scale("", float, float)
FISHER = Scale("artanh(x)", lambda x: math.atanh(max(-ALMOST_ONE, min(x, ALMOST_ONE))), math.tanh)  # |x| <= 1
LOGARITHM = Scale("ln(x)", lambda x: math.log(max(x, ALMOST_NOTHING)), math.exp)  # x > 0
RECIPROCAL = Scale("-1/x", lambda x: -1 / max(x, ALMOST_NOTHING), lambda y: -1 / y)  # x > 0 with a long upper tail


@dataclass(frozen=True)
class Statistic:
    """One number that an item is decided by. read: from an outcome's evidence. allowed: lowest and highest
    value that passes; None where there is no such end. near: a miss by no more than this gets fresh seeds. scale: on
    which its margins are measured."""

    item: str
    name: str
    label: str
    read: Callable[[Mapping[str, Any]], float]
    allowed: Callable[[Thresholds], Range]
    near: Callable[[Thresholds], float]
    scale: Scale = PLAIN

    def inside(self, value: float, bars: Thresholds) -> bool:
        """Does this value pass?"""
        low, high = self.allowed(bars)
        return (low is None or value >= low) and (high is None or value <= high)


def _log_p(evidence: Mapping[str, Any]) -> float:
    return math.log10(max(float(evidence["p"]), P_LEAST))


def _none(bars: Thresholds) -> float:
    """Where a miss is never called near."""
    return 0.0


def _any(bars: Thresholds) -> float:
    """Where a miss is called near by the other statistics alone."""
    return math.inf


def _deviation(evidence: Mapping[str, Any], *fields: str, relative: bool = False) -> float:
    """Largest difference of these fields between what was returned and what the replies give, over all policies;
    relative: in units of max(1, |value|)."""
    worst = 0.0
    for want, got in zip(evidence["rows"], evidence["returned"], strict=True):
        for field in fields:
            gap = abs(got[field] - want[field]) / (max(1.0, abs(want[field])) if relative else 1.0)
            worst = max(worst, gap if math.isfinite(gap) else NO_NUMBER)
    return worst


def _deviation_statistic(
    name: str,
    label: str,
    fields: tuple[str, ...],
    highest: Callable[[Any], float],
    relative: bool = False,
) -> Statistic:
    """highest: of the registry's bars of the comparison, the tolerance."""
    return Statistic(
        "comparison",
        name,
        label,
        lambda evidence: _deviation(evidence, *fields, relative=relative),
        lambda bars: (None, highest(bars.comparison)),
        _none,
    )


TRAINED: tuple[Statistic, ...] = (
    Statistic(
        "sft_loss_trend",
        "ratio",
        "held-out loss, end / start",
        lambda evidence: evidence["ratio"],
        lambda bars: (None, bars.sft_loss_trend.final_ratio_max),
        lambda bars: bars.sft_loss_trend.near,
        LOGARITHM,
    ),
    Statistic(
        "sft_loss_trend",
        "log_p",
        "log10 of the paired test's p, end below start",
        _log_p,
        lambda bars: (None, math.log10(bars.sft_loss_trend.p_max)),
        _none,
    ),
    Statistic(
        "sft_loss_trend",
        "prompt_rise",
        "rise of the loss on prompts, which no label supervises (nats per token)",
        lambda evidence: evidence["prompt_rise"],
        lambda bars: (bars.sft_loss_trend.prompt_rise_min, None),
        _none,
    ),
    Statistic(
        "sft_loss_trend",
        "padding",
        "loss of the padding behind an answer (nats per token)",
        lambda evidence: evidence["padding"],
        lambda bars: (bars.sft_loss_trend.padding_min, None),
        _none,
    ),
    Statistic(
        "rm_accuracy",
        "lower_end",
        "lower end of the interval of accuracy",
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
        "rm_accuracy",
        "exchange",
        "share of couples of questions whose answers score higher where they belong",
        lambda evidence: evidence["exchange"],
        lambda bars: (bars.rm_accuracy.exchange_min, None),
        lambda bars: bars.rm_accuracy.exchange_near,
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
        "log_p",
        "log10 of the paired test's p, reward above SFT's",
        _log_p,
        lambda bars: (None, math.log10(bars.ppo_reward.p_max)),
        _any,
    ),
    Statistic(
        "ppo_reward",
        "gold_gain",
        "gold reward gain over SFT",
        lambda evidence: evidence["gold_gain"],
        lambda bars: (bars.ppo_reward.gold_gain_min, None),
        lambda bars: bars.ppo_reward.near,
    ),
    *(
        Statistic(
            item,
            "style",
            "rise of the share of replies with the run's closing",
            lambda evidence: evidence["style"],
            lambda bars: (bars.ppo_reward.style_min, None),
            lambda bars: bars.ppo_reward.near,
            FISHER,
        )
        for item in ("ppo_reward", "ppo_kl")
    ),
    Statistic(
        "ppo_kl",
        "kl",
        "KL to SFT (nats per sequence)",
        lambda evidence: evidence["kl"],
        lambda bars: (bars.ppo_kl.min, bars.ppo_kl.max),
        lambda bars: bars.ppo_kl.near,
        RECIPROCAL,
    ),
)
COMPARED: tuple[Statistic, ...] = (
    Statistic(
        "comparison",
        "gain",
        "mean reward of the RLHF policy over SFT's",
        lambda evidence: evidence["rlhf_gain"],
        lambda bars: (bars.comparison.rlhf_gain_min, None),
        lambda bars: bars.comparison.near,
    ),
    Statistic(
        "comparison",
        "typicality",
        "replies from what the policy samples: the worst of four policies (standard errors)",
        lambda evidence: max(abs(z) for z in evidence["typicality_z"].values()),
        lambda bars: (None, bars.comparison.typical_max),
        _none,
    ),
    _deviation_statistic(
        "reward", "mean reward's deviation, of max(1, |value|)", ("mean_reward",), lambda bar: bar.reward_rtol, True
    ),
    _deviation_statistic("kl", "KL's deviation, of max(1, |value|)", ("kl_to_sft",), lambda bar: bar.kl_rtol, True),
    _deviation_statistic("win", "win rate's deviation", ("win_rate",), lambda bar: bar.win_prompts / bar.prompts),
    _deviation_statistic(
        "interval",
        "win interval's deviation, the worse end",
        ("win_low", "win_high"),
        lambda bar: bar.interval_atol + bar.win_prompts / bar.prompts,
    ),
    _deviation_statistic("tokens", "mean length's deviation", ("mean_tokens",), lambda bar: bar.tokens_atol),
    _deviation_statistic("repetition", "repetition's deviation", ("repetition",), lambda bar: bar.repetition_atol),
)
STATISTICS: tuple[Statistic, ...] = (*TRAINED, *COMPARED)


def of_items(items: tuple[str, ...]) -> tuple[Statistic, ...]:
    """The statistics that decide these items."""
    return tuple(one for one in STATISTICS if one.item in items)
