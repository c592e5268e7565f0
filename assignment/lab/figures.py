"""The figures of a run: a flat dict of numbers, by which claims about the notebook are judged. Pure functions.

Names begin with the model: base, sft, poor and good (the policies of the two judges, or the judges themselves). Those
of replies to held-out prompts end with the decoding, sampled or greedy. A share or mean of nothing is left out.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from rlhf_kit.lexicon import FILLER, FLATTERY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Figures = dict[str, float]
# Names of the models in the notebook, and in figures.
MODELS = {"Base": "base", "SFT": "sft", "Poor-RM policy": "poor", "Good-RM policy": "good"}
JUDGES = {"Poor RM": "poor", "Good RM": "good"}
DECODINGS = ("sampled", "greedy")
FEW = 5  # neighbouring phases of PPO whose mean is a point of a curve
EARLY = 10  # phases of PPO within which rewards are said to rise
DIGITS = 5


def policy_of(judge: str) -> str:
    """Return the name of the policy that was trained on a judge of JUDGES."""
    return f"{judge.replace(' ', '-')} policy"


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN of nothing."""
    return sum(values) / len(values) if values else math.nan


def level(curve: Sequence[float], at: float, width: int = FEW) -> float:
    """Return the mean of `width` neighbouring points of a curve. at: 0 for its first ones, 1 for its last ones."""
    width = min(width, len(curve))
    start = round(at * (len(curve) - width))
    return mean(curve[start : start + width])


def rise(curve: Sequence[float], until: float = 1.0) -> float:
    """Return the last level of a curve less its first. until: where the last level is taken."""
    return level(curve, until) - level(curve, 0)


def late_pace(curve: Sequence[float]) -> float:
    """Return how fast a curve rises in its last quarter, as a multiple of its mean pace: 1 for a straight line."""
    rest = level(curve, 1) - level(curve, 0.75)
    return rest / 0.25 / whole if (whole := rise(curve)) else math.nan


def tidy(figures: Mapping[str, float]) -> Figures:
    """Return the figures that are finite, rounded to DIGITS digits."""
    return {name: float(f"{x:.{DIGITS}g}") for name, x in figures.items() if math.isfinite(x)}


def sft_figures(losses: Sequence[float], heldout: Mapping[str, float]) -> Figures:
    """Return figures of fine-tuning. losses: of each step. heldout: losses of Base and SFT on new demonstrations, nats
    per token. The last loss is the mean of the last ten steps, since batches differ."""
    return {
        "sft_updates": float(len(losses)),
        "sft_first_loss": losses[0],
        "sft_last_loss": level(losses, 1, 10),
        "base_heldout_loss": heldout["Base"],
        "sft_heldout_loss": heldout["SFT"],
        "sft_first_over_base_loss": losses[0] / heldout["Base"],
    }


def judge_figures(name: str, losses: Sequence[float], report: Mapping[str, float]) -> Figures:
    """Return figures of a reward model. losses: of each step, nats per pair. report: part 4's accuracies on held-out
    pairs. The last loss is the mean of the last tenth of the steps."""
    return {
        f"{name}_rm_first_loss": losses[0],
        f"{name}_rm_last_loss": level(losses, 1, max(1, len(losses) // 10)),
        f"{name}_accuracy": report["accuracy"],
        f"{name}_accuracy_longer": report["chosen_longer"],
        f"{name}_accuracy_not_longer": report["chosen_not_longer"],
        f"{name}_accuracy_gap": abs(report["chosen_longer"] - report["chosen_not_longer"]),
    }


def curve_figures(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Figures:
    """Return figures of both PPO runs. curves: by run (poor, good) and quantity, a number for each phase.

    rise: last level less first. rise_early: the same over the phases around EARLY. rise_half: at half of the run.
    reward_rise_ratio: the Poor RM's rise over the Good RM's, if that one rises. kl_first_size, clip_largest,
    approx_kl_largest: the largest of both runs, without its sign.
    """
    figures: Figures = {}
    for run, curve in curves.items():
        for quantity in ("reward", "gold", "kl", "length", "entropy", "value_loss"):
            figures[f"{run}_{quantity}_rise"] = rise(curve[quantity])
            figures[f"{run}_{quantity}_last"] = level(curve[quantity], 1)
        early = curve["reward"][: EARLY + FEW]
        figures |= {
            f"{run}_reward_rise_early": rise(early),
            f"{run}_gold_rise_half": rise(curve["gold"], 0.5),
            f"{run}_kl_late_pace": late_pace(curve["kl"]),
            f"{run}_approx_kl": mean(curve["approx_kl"]),
        }
    figures["kl_first_size"] = max(abs(curve["kl"][0]) for curve in curves.values())
    figures["clip_largest"] = max(max(curve["clip_fraction"]) for curve in curves.values())
    figures["approx_kl_largest"] = max(abs(x) for curve in curves.values() for x in curve["approx_kl"])
    if {"poor", "good"} <= set(curves) and figures["good_reward_rise"] > 0:
        figures["reward_rise_ratio"] = figures["poor_reward_rise"] / figures["good_reward_rise"]
    return tidy(figures)


def comparison_figures(decoding: str, rows: Sequence[Mapping[str, float]]) -> Figures:
    """Return what T15 says of each model. rows: T15's, by MODELS' names, with a mean score of each judge of JUDGES."""
    figures: Figures = {}
    for row in rows:
        name = MODELS[str(row["name"])]
        figures |= {
            f"{name}_gold_{decoding}": row["mean_reward"],
            f"{name}_kl_{decoding}": row["kl_to_sft"],
            f"{name}_win_{decoding}": row["win_rate"],
            f"{name}_tokens_{decoding}": row["mean_tokens"],
            f"{name}_repetition_{decoding}": row["repetition"],
        }
        figures |= {f"{name}_{short}_proxy_{decoding}": row[judge] for judge, short in JUDGES.items()}
    return figures


def reply_figures(name: str, decoding: str, texts: Sequence[str], ended: Sequence[bool]) -> Figures:
    """Return shares of a model's replies. texts: without the end token. ended: whether it was there.

    form: the reply ends, and has one or two sentences. padded: it has a stock phrase of flattery or filler.
    """
    phrases = (*FLATTERY, *FILLER)
    return {
        f"{name}_empty_{decoding}": mean([not text.strip() for text in texts]),
        f"{name}_ended_{decoding}": mean(ended),
        f"{name}_form_{decoding}": mean([e and 1 <= sentences(t) <= 2 for t, e in zip(texts, ended, strict=True)]),
        f"{name}_padded_{decoding}": mean([any(phrase in text for phrase in phrases) for text in texts]),
    }


def sentences(text: str) -> int:
    """Count the sentences of a reply: full stops, question marks and exclamation marks at the end of a word."""
    return sum(one in ".!?" and not after.strip() for one, after in pairwise(f"{text.strip()} "))
