"""The statistics that decide each training item, as one table, with the range in which each of them passes.

An item passes if all its statistics are in their range. The table is complete: nothing else decides an item.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from assignment.registry import Thresholds

if TYPE_CHECKING:
    from autograder.calibration.margins import Range

P_LEAST = 1e-300  # p-values of a clear case underflow: smaller ones count as this
NO_NUMBER = 1e12  # deviation of a field that is missing or NaN
ALMOST_ONE, ALMOST_NOTHING = 1 - 1e-9, 1e-6  # arguments at which the functions of the scales are cut off
Evidence = Mapping[str, Any]
Threshold = str | Callable[[Thresholds], float]  # dotted name in the registry's thresholds, or a function of them


class Scale(NamedTuple):
    """A rising function of a statistic whose values are closer to normal than the statistic's own, and its inverse.
    words: its name in the document."""

    words: str
    apply: Callable[[float], float]
    back: Callable[[float], float]


PLAIN = Scale("", float, float)
FISHER = Scale("artanh(x)", lambda x: math.atanh(max(-ALMOST_ONE, min(x, ALMOST_ONE))), math.tanh)  # |x| <= 1
LOGARITHM = Scale("ln(x)", lambda x: math.log(max(x, ALMOST_NOTHING)), math.exp)  # x > 0
RECIPROCAL = Scale("-1/x", lambda x: -1 / max(x, ALMOST_NOTHING), lambda y: -1 / y)  # x > 0 with a long upper tail


@dataclass(frozen=True)
class Statistic:
    """One number that decides an item. evidence: the entry of an outcome's evidence that holds it, or a function of the
    evidence. low, high: ends of the range that passes; None if there is no such end. margin: the retry margin; 0 if a
    miss always fails, infinity if the other statistics alone decide whether the run is repeated. scale: on which
    distances to the range are measured."""

    item: str
    name: str
    label: str
    evidence: str | Callable[[Evidence], float]
    low: Threshold | None = None
    high: Threshold | None = None
    margin: Threshold | float = 0.0
    scale: Scale = PLAIN

    def read(self, evidence: Evidence) -> float:
        """Return the statistic's value in an outcome's evidence."""
        if isinstance(self.evidence, str):
            value: float = evidence[self.evidence]
            return value
        return self.evidence(evidence)

    def allowed(self, thresholds: Thresholds) -> Range:
        """Return the lowest and the highest value that pass; None for an end that does not exist."""
        low, high = (None if end is None else _number(end, thresholds) for end in (self.low, self.high))
        return low, high

    def retry_margin(self, thresholds: Thresholds) -> float:
        """Return by how much a run may miss the range and still be repeated on fresh seeds."""
        return self.margin if isinstance(self.margin, float) else _number(self.margin, thresholds)

    def inside(self, value: float, thresholds: Thresholds) -> bool:
        """Return whether this value passes."""
        low, high = self.allowed(thresholds)
        return (low is None or value >= low) and (high is None or value <= high)


def _number(threshold: Threshold, thresholds: Thresholds) -> float:
    value: float = (attrgetter(threshold) if isinstance(threshold, str) else threshold)(thresholds)
    return value


def _log10(p: float) -> float:
    return math.log10(max(p, P_LEAST))


def _log_p(evidence: Evidence) -> float:
    return _log10(float(evidence["p"]))


def _lower_end(evidence: Evidence) -> float:
    return float(evidence["interval"][0])


def _worst_typicality(evidence: Evidence) -> float:
    return max(abs(float(z)) for z in evidence["typicality_z"].values())


def _deviation(*fields: str, relative: bool = False) -> Callable[[Evidence], float]:
    """Return a function that gives the largest difference of these fields, over all policies, between what T15 returned
    and what the replies give; relative: in units of max(1, |value|)."""

    def read(evidence: Evidence) -> float:
        worst = 0.0
        for want, got in zip(evidence["rows"], evidence["returned"], strict=True):
            for field in fields:
                gap = abs(got[field] - want[field]) / (max(1.0, abs(want[field])) if relative else 1.0)
                worst = max(worst, gap if math.isfinite(gap) else NO_NUMBER)
        return worst

    return read


def _win_tolerance(thresholds: Thresholds) -> float:
    return thresholds.comparison.win_prompts / thresholds.comparison.prompts


def _interval_tolerance(thresholds: Thresholds) -> float:
    return thresholds.comparison.interval_atol + _win_tolerance(thresholds)


# Per statistic two lines: which it is and what it is called; where it is read, and what it has to reach.
STATISTICS: tuple[Statistic, ...] = (
    Statistic("sft_loss_trend", "ratio", "held-out loss, end / start",
              "ratio", high="sft_loss_trend.final_ratio_max", margin="sft_loss_trend.retry_margin", scale=LOGARITHM),
    Statistic("sft_loss_trend", "log_p", "log10 of the paired test's p, end below start",
              _log_p, high=lambda t: _log10(t.sft_loss_trend.p_max)),
    Statistic("sft_loss_trend", "prompt_rise",
              "rise of the loss on prompts, which no label supervises (nats per token)",
              "prompt_rise", low="sft_loss_trend.prompt_rise_min"),
    Statistic("sft_loss_trend", "padding", "loss of the padding behind an answer (nats per token)",
              "padding", low="sft_loss_trend.padding_min"),
    Statistic("rm_accuracy", "lower_end", "lower end of the interval of accuracy",
              _lower_end, low="rm_accuracy.lower_bound_min", margin="rm_accuracy.retry_margin"),
    Statistic("rm_accuracy", "style", "score of the run's closing over other closings (standard deviations of scores)",
              "style", low="rm_accuracy.style_min", margin="rm_accuracy.style_retry_margin"),
    Statistic("rm_accuracy", "exchange", "share of couples of questions whose answers score higher where they belong",
              "exchange", low="rm_accuracy.exchange_min", margin="rm_accuracy.exchange_retry_margin"),
    Statistic("ppo_reward", "gain", "reward gain over SFT (standard deviations of the reward model)",
              "gain", low="ppo_reward.gain_min", margin="ppo_reward.retry_margin"),
    Statistic("ppo_reward", "log_p", "log10 of the paired test's p, reward above SFT's",
              _log_p, high=lambda t: _log10(t.ppo_reward.p_max), margin=math.inf),
    Statistic("ppo_reward", "gold_gain", "gold reward gain over SFT",
              "gold_gain", low="ppo_reward.gold_gain_min", margin="ppo_reward.retry_margin"),
    *(Statistic(item, "style", "rise of the share of replies with the run's closing",
                "style", low="ppo_reward.style_min", margin="ppo_reward.retry_margin", scale=FISHER)
      for item in ("ppo_reward", "ppo_kl")),
    Statistic("ppo_kl", "kl", "KL to SFT (nats per sequence)",
              "kl", low="ppo_kl.min", high="ppo_kl.max", margin="ppo_kl.retry_margin", scale=RECIPROCAL),
    Statistic("comparison", "gain", "mean reward of the RLHF policy over SFT's",
              "rlhf_gain", low="comparison.rlhf_gain_min", margin="comparison.retry_margin"),
    Statistic("comparison", "typicality",
              "replies from what the policy samples: the worst of four policies (standard errors)",
              _worst_typicality, high="comparison.typical_max"),
    Statistic("comparison", "reward", "mean reward's deviation, of max(1, |value|)",
              _deviation("mean_reward", relative=True), high="comparison.reward_rtol"),
    Statistic("comparison", "kl", "KL's deviation, of max(1, |value|)",
              _deviation("kl_to_sft", relative=True), high="comparison.kl_rtol"),
    Statistic("comparison", "win", "win rate's deviation",
              _deviation("win_rate"), high=_win_tolerance),
    Statistic("comparison", "interval", "win interval's deviation, the worse end",
              _deviation("win_low", "win_high"), high=_interval_tolerance),
    Statistic("comparison", "tokens", "mean length's deviation",
              _deviation("mean_tokens"), high="comparison.tokens_atol"),
    Statistic("comparison", "repetition", "repetition's deviation",
              _deviation("repetition"), high="comparison.repetition_atol"),
)  # fmt: skip


def of_items(items: tuple[str, ...]) -> tuple[Statistic, ...]:
    """Return the statistics that decide these items."""
    return tuple(one for one in STATISTICS if one.item in items)
