"""Draw the lab's figures. Each function returns a matplotlib Figure, shown if it is a cell's last line.

A model looks the same in every figure: looks.py says how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .config import EvalConfig
from .looks import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, Sequence[float]]


def smooth(values: Sequence[float], weight: float = 0.8) -> list[float]:
    """Compute an exponential moving average with Adam's bias correction, which keeps the first value.

    weight: of the past, in [0, 1); 0 returns the values. NaN and infinities are returned as they are
    and do not enter the average.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must be in [0, 1), not {weight}")
    average, total, out = 0.0, 0.0, []
    for x in map(float, values):
        if not math.isfinite(x):
            out.append(x)
            continue
        average = weight * average + (1 - weight) * x
        total = weight * total + (1 - weight)
        out.append(average / total)
    return out


def plot_loss(
    losses: Sequence[float] | Curves,
    *,
    title: str = "Training loss",
    xlabel: str = "optimiser step",
    ylabel: str = "loss (nats per token)",
    smoothing: float = 0.8,
    baseline: float | None = None,
) -> Figure:
    """Draw the loss over optimiser steps: each step pale, the moving average strong.

    losses: one curve, or name -> curve. baseline: a value to compare with, such as ln 2, the loss of a
    reward model that scores all replies alike.
    """
    fig, (axes,) = _figure(1)
    _curves(axes, losses, smoothing)
    if baseline is not None:
        axes.axhline(baseline, color="0.4", linestyle=":", linewidth=1)
        axes.annotate(
            f"{baseline:.2f}",
            (1.0, baseline),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            xytext=(3, -3),
            textcoords="offset points",
            color="0.3",
        )
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return fig


def plot_accuracy(
    accuracy: Curves,
    *,
    bar: float | None = None,
    title: str = "Reward model: held-out accuracy",
    xlabel: str = "evaluation",
    smoothing: float = 0.0,
) -> Figure:
    """Draw the share of pairs ranked right, with chance at 0.5. bar: an accuracy to reach."""
    fig, (axes,) = _figure(1)
    _curves(axes, accuracy, smoothing, marker="o")
    axes.axhline(0.5, color="0.4", linestyle=":", linewidth=1, label="coin")
    if bar is not None:
        axes.axhline(bar, color="0.2", linestyle="--", linewidth=1, label=f"to reach: {bar:.0%}")
    axes.set(title=title, xlabel=xlabel, ylabel="pairs ranked right (share)", ylim=(0.3, 1.0))
    axes.legend(frameon=False)
    return fig


def plot_ppo(
    runs: Mapping[str, Sequence[Mapping[str, float]]], *, smoothing: float = 0.6
) -> Figure:
    """Draw reward and KL of one or more PPO runs, side by side.

    runs: name -> the statistics of T14, one dict per step with "reward" (reward units, normalised)
    and "kl" (nats per sequence against the SFT model).
    """
    fig, (left, right) = _figure(2)
    for axes, key, title, unit in (
        (left, "reward", "Reward on rollouts", "reward (reward-model units)"),
        (right, "kl", "Distance from the SFT model", "KL (nats per sequence)"),
    ):
        curves = {name: [row.get(key, math.nan) for row in run] for name, run in runs.items()}
        _curves(axes, curves, smoothing)
        axes.set(title=title, xlabel="PPO step", ylabel=unit)
    right.axhline(0, color="0.6", linewidth=0.8)
    return fig


def plot_overoptimisation(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw proxy and gold reward over √KL, as in Gao et al. (2023).

    runs: name -> {"kl", "proxy", "gold"}, one value per measured checkpoint; KL in nats per sequence
    (a negative estimate is drawn at 0). The proxy has hollow circles, gold has filled squares. Reward
    hacking shows as a proxy that rises while gold falls.
    """
    fig, (axes,) = _figure(1)
    look = looks(runs)
    for name, run in runs.items():
        color, style = look[name]
        x = [math.sqrt(max(0.0, float(kl))) for kl in run["kl"]]
        order = sorted(range(len(x)), key=x.__getitem__)
        for key, marker, filling in (("proxy", "o", "white"), ("gold", "s", color)):
            axes.plot(
                [x[j] for j in order],
                [float(run[key][j]) for j in order],
                color=color,
                linestyle=style,
                marker=marker,
                markersize=5,
                markerfacecolor=filling,
                label=f"{name}: {key}",
            )
    axes.set(
        title="Over-optimisation",
        xlabel="√KL from the SFT model (√nats per sequence)",
        ylabel="mean reward (own units)",
    )
    axes.legend(frameon=False, fontsize=8)
    return fig


def plot_policies(
    rows: Sequence[Mapping[str, Any]],
    *,
    ylabel: str = "mean reward (units of the score)",
    confidence: float = EvalConfig.confidence,
) -> Figure:
    """Draw the comparison of T15: mean reward, and win rate against SFT, with their intervals.

    rows: the rows of `compare_policies`; for an interval of the reward add "reward_low" and
    "reward_high". ylabel: names the reward and its unit. confidence: of the intervals, for the titles.
    """
    fig, (left, right) = _figure(2)
    names = [str(row["name"]) for row in rows]
    for axes, value, prefix, title in (
        (left, "mean_reward", "reward", "Reward on held-out prompts"),
        (right, "win_rate", "win", "Win rate against SFT"),
    ):
        errors = _errors(rows, value, prefix)
        _bars(axes, names, [float(row[value]) for row in rows], errors)
        axes.set_title(f"{title} ({confidence:.0%} interval)" if errors else title)
    left.axhline(0, color="0.4", linewidth=0.8)
    left.set_ylabel(ylabel)
    right.axhline(0.5, color="0.4", linestyle=":", linewidth=1)
    right.set(ylabel="share of prompts won", ylim=(0, 1))
    return fig


def plot_lengths(lengths: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the distribution of each policy's reply lengths, in tokens."""
    fig, (axes,) = _figure(1)
    longest = max((max(x, default=0) for x in lengths.values()), default=0)
    look = looks(lengths)
    for name, values in lengths.items():
        color, style = look[name]
        axes.hist(
            list(values),
            bins=range(0, longest + 3, 2),
            histtype="step",
            density=True,
            linewidth=1.8,
            color=color,
            linestyle=style,
            label=name,
        )
    axes.set(title="Length of replies", xlabel="reply length (tokens)", ylabel="share per token")
    axes.legend(frameon=False)
    return fig


def _figure(panels: int) -> tuple[Figure, Sequence[Axes]]:
    from .figure import LabFigure  # importing matplotlib takes half a second

    fig = LabFigure(figsize=(5.2 * panels, 3.4), layout="constrained")
    axes = fig.subplots(1, panels, squeeze=False)
    for panel in axes[0]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.25, linewidth=0.6)
    return fig, axes[0]


def _curves(
    axes: Axes, curves: Sequence[float] | Curves, smoothing: float, marker: str | None = None
) -> None:
    named = curves if isinstance(curves, Mapping) else {"": curves}
    look = looks(named)
    for name, values in named.items():
        color, style = look[name]
        if smoothing > 0:
            axes.plot(list(values), color=color, alpha=0.25, linewidth=0.8)
        axes.plot(
            smooth(values, smoothing),
            color=color,
            linestyle=style,
            linewidth=1.8,
            label=name or None,
            marker=marker,
            markersize=3,
        )
    if any(named):
        axes.legend(frameon=False)


def _bars(
    axes: Axes, names: Sequence[str], heights: Sequence[float], errors: list[list[float]] | None
) -> None:
    look = looks(names)
    colors = [look[name][0] for name in names]
    axes.bar(range(len(names)), heights, color=colors, yerr=errors, capsize=4, width=0.65)
    axes.set_xticks(range(len(names)), names)


def _errors(rows: Sequence[Mapping[str, Any]], value: str, prefix: str) -> list[list[float]] | None:
    """Return the distances from values down and up to their intervals, or None without intervals."""
    low, high = f"{prefix}_low", f"{prefix}_high"
    if not all(low in row and high in row for row in rows):
        return None
    down = [max(0.0, float(row[value]) - float(row[low])) for row in rows]
    up = [max(0.0, float(row[high]) - float(row[value])) for row in rows]
    return [down, up]
