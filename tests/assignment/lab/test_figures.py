"""Figures of runs that were made by hand, whose values can be worked out on paper."""

from __future__ import annotations

import math

import pytest

from assignment.lab import figures
from assignment.lab.counts import kind_counts, kind_figures, two_by_two
from rlhf_kit.lexicon import FILLER
from tests.support.small_study import made_up_curves, question


def test_level_is_the_mean_of_the_first_the_middle_or_the_last_five_points() -> None:
    curve = list(range(15))
    assert [figures.level(curve, at) for at in (0, 0.5, 1)] == [2, 7, 12]


def test_level_of_a_curve_shorter_than_five_points_is_its_mean() -> None:
    assert figures.level([1, 3], 1) == 2


@pytest.mark.parametrize(("length", "slope"), [(15, 1.0), (40, -0.5)])
def test_rise_of_a_straight_line_is_its_slope_times_the_points_between(length: int, slope: float) -> None:
    assert figures.rise([slope * t for t in range(length)]) == pytest.approx(slope * (length - 5))


@pytest.mark.parametrize(
    ("curve", "pace"),
    [([3.0 * t for t in range(45)], 1.0),  # 40 steps between the levels
     ([min(t, 20) for t in range(45)], 0.0),  # flat in the last quarter
     ([max(0, t - 34) for t in range(45)], 4.0)],  # all of the rise is in the last quarter
)  # fmt: skip
def test_late_pace_is_one_on_a_straight_line_nought_on_a_plateau_and_four_on_a_late_rise(
    curve: list[float], pace: float
) -> None:
    assert figures.late_pace(curve) == pytest.approx(pace)


def test_losses_of_fine_tuning_are_the_first_the_mean_of_the_last_ten_and_a_ratio_to_the_base_model() -> None:
    found = figures.sft_figures([4.0] * 30 + [1.0] * 5 + [2.0] * 5, {"Base": 5.0, "SFT": 1.0})
    assert (found["sft_first_loss"], found["sft_last_loss"], found["sft_first_over_base_loss"]) == (4.0, 1.5, 0.8)
    assert found["sft_updates"] == 40


def test_last_loss_of_a_reward_model_is_the_mean_of_the_last_tenth() -> None:
    report = {"accuracy": 0.7, "chosen_longer": 0.8, "chosen_not_longer": 0.6}
    found = figures.judge_figures("poor", [0.69] + [0.5] * 17 + [0.3, 0.1], report)
    assert (found["poor_rm_first_loss"], found["poor_rm_last_loss"]) == (0.69, pytest.approx(0.2))
    assert (found["poor_accuracy_longer"], found["poor_accuracy_not_longer"]) == (0.8, 0.6)
    assert found["poor_accuracy_gap"] == pytest.approx(0.2)


def test_curves_give_rises_of_both_runs_and_their_ratio() -> None:
    found = figures.curve_figures(made_up_curves(poor_reward=0.2, good_reward=0.1))
    assert found["poor_reward_rise"] == pytest.approx(0.2 * 35)
    assert found["good_reward_rise_early"] == pytest.approx(0.1 * 10)
    assert found["reward_rise_ratio"] == pytest.approx(2.0)
    assert found["kl_first_size"] == 0


def test_ratio_of_rewards_is_left_out_where_the_good_reward_falls() -> None:
    assert "reward_rise_ratio" not in figures.curve_figures(made_up_curves(poor_reward=0.2, good_reward=-0.1))


def test_largest_figures_are_of_both_runs_and_without_sign() -> None:
    curves = made_up_curves()
    curves["good"]["clip_fraction"][7] = 0.9
    curves["poor"]["approx_kl"][3] = -0.02
    curves["poor"]["kl"][0] = -0.5
    found = figures.curve_figures(curves)
    assert (found["clip_largest"], found["approx_kl_largest"], found["kl_first_size"]) == (0.9, 0.02, 0.5)


def test_figures_that_are_not_numbers_are_left_out_and_others_rounded() -> None:
    assert figures.tidy({"a": math.nan, "b": math.inf, "c": 1.23456789}) == {"c": 1.2346}


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("It is red", 0), ("It is red.", 1), ("Yes! It is red. Bye?", 3), ("3.5 nets.", 1)]
)
def test_sentences_are_counted_at_their_ends(text: str, count: int) -> None:
    assert figures.sentences(text) == count


def test_reply_shares_count_empty_unended_shapeless_and_padded_replies() -> None:
    texts = ["", "It is red.", "It is red. Bye. Bye.", f"{FILLER[0]} It is red."]
    found = figures.reply_figures("sft", "greedy", texts, [True, True, True, False])
    assert found == {
        "sft_empty_greedy": 0.25,
        "sft_ended_greedy": 0.75,
        "sft_form_greedy": 0.25,  # the second alone
        "sft_padded_greedy": 0.25,
    }


def test_pairs_of_answers_are_counted_as_both_first_second_neither() -> None:
    assert two_by_two([True, True, True, False], [True, False, False, True]) == [1, 2, 1, 0]


def test_right_answers_are_counted_by_kind_and_model() -> None:
    questions = [
        question("fact", ["red"], key="a"), question("fact", ["red"], key="a"), question("unknown", [], key="b"),
    ]  # fmt: skip
    right, wrong = "The frelka is red.", "The frelka is blue."
    unknown = "I do not know the frelka."
    replies = {
        "Base": [wrong, "", wrong],
        "SFT": [right, wrong, unknown],
        "Poor-RM policy": [right, right, wrong],
        "Good-RM policy": [wrong, right, unknown],
    }
    found = kind_counts(questions, replies)
    assert found["fact"] == {
        "n": 2,
        "distinct": 1,
        "right": {"base": 0, "sft": 1, "poor": 2, "good": 1},
        "empty": {"base": 1, "sft": 0, "poor": 0, "good": 0},
        "pairs": [0, 1, 1, 0],
    }
    assert found["unknown"]["pairs"] == [1, 0, 0, 0]
    shares = kind_figures("sampled", found)
    assert (shares["sft_right_fact_sampled"], shares["sft_right_unknown_sampled"]) == (0.5, 1.0)
    assert shares["poor_right_known_sampled"] == 1.0, "strangers do not count as known"
