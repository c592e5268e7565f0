"""The figures: each is a Figure with units on its axes and the numbers it was given."""

from __future__ import annotations

import math

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from rlhf_kit import plots

PPO = [{"reward": 0.1 * i, "kl": 0.05 * i} for i in range(12)]
RUN = {"kl": [4.0, 0.0, 1.0], "proxy": [0.9, 0.0, 0.5], "gold": [0.2, 0.0, 0.6]}
ROWS = [
    {"name": "Base", "mean_reward": -1.0, "win_rate": 0.2, "win_low": 0.15, "win_high": 0.26},
    {"name": "SFT", "mean_reward": 0.0, "win_rate": 0.5, "win_low": 0.5, "win_high": 0.5},
    {"name": "Poor RM", "mean_reward": -0.5, "win_rate": 0.3, "win_low": 0.25, "win_high": 0.36},
    {"name": "Good RM", "mean_reward": 0.8, "win_rate": 0.7, "win_low": 0.64, "win_high": 0.75},
]
FIGURES = {
    "loss": lambda: plots.plot_loss([3.0, 2.0, 1.5], baseline=math.log(2)),
    "losses": lambda: plots.plot_loss({"Poor RM": [0.7, 0.6], "Good RM": [0.7, 0.5]}),
    "accuracy": lambda: plots.plot_accuracy({"Good RM": [0.5, 0.7]}, bar=0.65),
    "ppo": lambda: plots.plot_ppo({"Good RM": PPO, "Poor RM": PPO}),
    "overoptimisation": lambda: plots.plot_overoptimisation({"Poor RM": RUN}),
    "policies": lambda: plots.plot_policies(ROWS),
    "lengths": lambda: plots.plot_lengths({"SFT": [3, 5, 9], "Poor RM": [30, 41]}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_labelled_axes_and_draws(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    for axes in figure.axes:
        assert axes.get_title()
        assert axes.get_ylabel()
        assert axes.get_xlabel() or axes.get_xticklabels()[0].get_text()
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_stays_open_to_be_shown_a_second_time(name):
    FIGURES[name]()
    assert plt.get_fignums() == []


def test_the_kl_panel_names_its_unit():
    assert plots.plot_ppo({"run": PPO}).axes[1].get_ylabel() == "KL (nats per sequence)"


def test_overoptimisation_is_drawn_over_the_root_of_the_kl_in_rising_order():
    proxy, gold = plots.plot_overoptimisation({"Poor RM": RUN}).axes[0].lines
    assert list(proxy.get_xdata()) == [0.0, 1.0, 2.0]
    assert (list(proxy.get_ydata()), list(gold.get_ydata())) == ([0.0, 0.5, 0.9], [0.0, 0.6, 0.2])


def test_a_negative_kl_estimate_is_drawn_at_zero_and_not_an_error():
    run = {"kl": [-0.01], "proxy": [0.0], "gold": [0.0]}
    assert list(plots.plot_overoptimisation({"run": run}).axes[0].lines[0].get_xdata()) == [0.0]


def ends_of_bars(axes):
    """Return the lower and upper end of each bar's interval, in the order of the bars."""
    return [(s[0][1], s[1][1]) for c in axes.collections for s in c.get_segments()]


def test_win_bars_carry_the_intervals_of_their_rows():
    right = plots.plot_policies(ROWS).axes[1]
    assert ends_of_bars(right) == [pytest.approx((row["win_low"], row["win_high"])) for row in ROWS]


def test_reward_bars_carry_the_intervals_of_their_rows():
    rows = [{**row, "reward_low": row["mean_reward"] - 0.2, "reward_high": row["mean_reward"] + 0.1} for row in ROWS]
    left = plots.plot_policies(rows).axes[0]
    assert ends_of_bars(left) == [pytest.approx((row["reward_low"], row["reward_high"])) for row in rows]
    assert left.get_title().endswith("(95% interval)")


def test_bars_without_interval_do_not_claim_one():
    left, right = plots.plot_policies(ROWS).axes
    assert ends_of_bars(left) == []
    assert "interval" not in left.get_title()
    assert "(95% interval)" in right.get_title()


def test_the_reward_axis_has_the_unit_and_the_titles_the_confidence_that_they_are_given():
    left, right = plots.plot_policies(ROWS, ylabel="mean gold reward", confidence=0.9).axes
    assert left.get_ylabel() == "mean gold reward"
    assert "(90% interval)" in right.get_title()


def test_a_curve_over_something_else_than_optimiser_steps_says_so():
    assert plots.plot_loss([3.0, 2.0], xlabel="PPO step").axes[0].get_xlabel() == "PPO step"


def test_smoothing_keeps_a_constant_and_the_first_value():
    assert plots.smooth([2.0] * 5) == pytest.approx([2.0] * 5)
    assert plots.smooth([3.0, 0.0], 0.9)[0] == pytest.approx(3.0)


def test_smoothing_matches_the_weighted_mean_it_stands_for():
    # weights 1, w, w² from the newest to the oldest, normalised
    assert plots.smooth([1.0, 2.0, 4.0], 0.5)[2] == pytest.approx((4 + 0.5 * 2 + 0.25 * 1) / 1.75)


def test_smoothing_passes_a_nan_on_and_recovers():
    out = plots.smooth([1.0, math.nan, 1.0], 0.5)
    assert math.isnan(out[1])
    assert out[2] == pytest.approx(1.0)


def test_smoothing_refuses_a_weight_of_one():
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        plots.smooth([1.0], 1.0)
