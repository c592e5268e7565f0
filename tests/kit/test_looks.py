"""A model has one colour and one line style, whichever figure it is in and whatever stands beside it."""

from __future__ import annotations

import pytest
from matplotlib import rcParams
from matplotlib.colors import to_hex

from rlhf_kit import plots
from rlhf_kit.looks import LOOKS, looks

# Okabe and Ito (2008), "Color Universal Design".
OKABE_ITO = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
NAMES = ("Base", "SFT", "Poor RM", "Good RM")
POLICIES = {"Poor-RM policy": "Poor RM", "Good-RM policy": "Good RM"}
PPO = [{"reward": 0.1 * i, "kl": 0.05 * i} for i in range(4)]
RUN = {"kl": [0.0, 1.0], "proxy": [0.0, 0.5], "gold": [0.0, 0.6]}
ROW = {"mean_reward": 0.4, "win_rate": 0.5, "win_low": 0.4, "win_high": 0.6}
DRAWN = {
    "plot_loss": lambda names: plots.plot_loss({name: [0.7, 0.6] for name in names}),
    "plot_accuracy": lambda names: plots.plot_accuracy({name: [0.5, 0.7] for name in names}),
    "plot_ppo": lambda names: plots.plot_ppo(dict.fromkeys(names, PPO)),
    "plot_overoptimisation": lambda names: plots.plot_overoptimisation(dict.fromkeys(names, RUN)),
    "plot_policies": lambda names: plots.plot_policies([{"name": name, **ROW} for name in names]),
    "plot_lengths": lambda names: plots.plot_lengths({name: [3, 5] for name in names}),
}
# What matplotlib may call a style: lines answer with the name, outlines of histograms with the dashes.
DASHES = {":": "dotted", "--": "dashed", "-.": "dashdot"}
STYLES = {(0.0, tuple(rcParams[f"lines.{word}_pattern"])): sign for sign, word in DASHES.items()} | {(0.0, None): "-"}


def look_in(figure, name):
    """Return the colours and the line styles that a name has in a figure; bars have no line style."""
    colors, styles = set(), set()
    for axes in figure.axes:
        marks = [*axes.lines, *axes.patches]
        for mark in marks:
            if str(mark.get_label()).split(":")[0] == name:
                colors.add(to_hex(mark.get_color() if mark in axes.lines else mark.get_edgecolor()).upper())
                style = mark.get_linestyle()
                styles.add(STYLES.get(style, {"solid": "-"}.get(style, style)))
        for label, bar in zip(axes.get_xticklabels(), axes.patches, strict=False):
            if label.get_text() == name:
                colors.add(to_hex(bar.get_facecolor()).upper())
    return colors, styles


def test_every_plot_function_is_asked():
    assert set(DRAWN) == {name for name in vars(plots) if name.startswith("plot_")}


@pytest.mark.parametrize("plot", DRAWN)
@pytest.mark.parametrize("beside", [(), ("another", "Base"), ("Good-RM policy", "Poor-RM policy", "SFT")])
@pytest.mark.parametrize("name", [*NAMES, *POLICIES])
def test_a_model_looks_the_same_in_every_figure_and_in_any_company(plot, beside, name):
    colors, styles = look_in(DRAWN[plot]([*(one for one in beside if one != name), name]), name)
    reference = look_in(DRAWN["plot_loss"]([name]), name)
    assert (colors, styles or reference[1]) == reference
    assert len(colors) == 1


def test_only_bars_which_have_their_names_below_them_go_without_a_line_style():
    assert {plot for plot in DRAWN if not look_in(DRAWN[plot](NAMES), "SFT")[1]} == {"plot_policies"}


@pytest.mark.parametrize(("policy", "judge"), POLICIES.items())
def test_a_policy_looks_like_the_judge_that_it_was_trained_against(policy, judge):
    assert looks([policy])[policy] == looks([judge])[judge]


def test_the_four_models_differ_in_colour_and_for_grey_printing_in_style():
    found = looks(NAMES)
    assert len({color for color, _ in found.values()}) == 4
    assert len({style for _, style in found.values()}) == 4


def test_other_names_take_colours_and_styles_that_no_model_has():
    others = looks(["one", "SFT", "two", "Base", "three"])
    used = [looks(NAMES)[name] for name in NAMES]
    mine = [others[name] for name in ("one", "two", "three")]
    assert len({color for color, _ in [*used, *mine]}) == 7
    assert len({str(style) for _, style in [*used, *mine]}) == 7


def test_twelve_other_names_look_different_from_each_other():
    assert len({str(look) for look in looks(f"run {i}" for i in range(12)).values()}) == 12


def test_every_colour_is_one_of_okabe_and_itos():
    found = {*LOOKS.values(), *looks(f"run {i}" for i in range(12)).values()}
    assert {color for color, _ in found} <= OKABE_ITO


def test_proxy_and_gold_of_one_policy_differ_in_their_marks():
    proxy, gold = plots.plot_overoptimisation({"Poor-RM policy": RUN}).axes[0].lines
    assert proxy.get_marker() != gold.get_marker()
    assert to_hex(proxy.get_markerfacecolor()) == "#ffffff"
    assert to_hex(gold.get_markerfacecolor()) == to_hex(gold.get_color())
