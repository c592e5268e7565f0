"""The statistics of the training tests agree with closed forms and with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from autograder.training.statistics import bootstrap_interval, paired_gain, trend, wilson


def test_paired_gain_is_the_one_sided_paired_t_test():
    rng = np.random.default_rng(0)
    before = rng.normal(size=40)
    after = before + rng.normal(0.2, 1.0, size=40)
    expected = stats.ttest_rel(after, before, alternative="greater")
    found = paired_gain(before, after)
    assert found.gain == pytest.approx((after - before).mean())
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)


def test_fall_is_not_a_significant_gain():
    before = np.linspace(0, 1, 30)
    assert paired_gain(before, before - 1 + 0.01 * before).p > 0.99


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.5, 0.0), (-0.5, 1.0)])
def test_p_value_of_equal_differences_follows_their_sign(shift, p):
    assert paired_gain(np.zeros(10), np.full(10, shift)).p == p


def test_wilson_interval_equals_that_of_scipy():
    expected = stats.binomtest(412, 600).proportion_ci(0.95, method="wilson")
    assert wilson(412, 600, 0.95) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_wilson_interval_of_half_successes_stays_between_0_and_1():
    low, high = wilson(0.5, 3, 0.95)
    assert 0 <= low < 0.5 / 3 < high <= 1
    assert wilson(0, 5, 0.95)[0] == 0.0
    assert wilson(5, 5, 0.95)[1] == 1.0


def test_lower_end_of_the_wilson_interval_is_below_the_accuracy():
    assert wilson(0.72 * 4000, 4000, 0.95)[0] > 0.70
    assert wilson(0.66 * 4000, 4000, 0.95)[0] < 0.65  # 0.66 itself is not enough on 4,000 pairs


@pytest.mark.parametrize(
    ("curve", "expected"), [([3, 2, 1], -1.0), ([1, 2, 3, 4], 1.0), ([1.0, 1.0, 1.0], None), ([2, 1], None)]
)
def test_trend_is_the_rank_correlation_with_the_order(curve, expected):
    assert trend(curve) == (None if expected is None else pytest.approx(expected))


def test_bootstrap_interval_is_as_wide_as_the_normal_interval():
    wins = (np.random.default_rng(1).random(400) < 0.6).astype(float)
    low, high = bootstrap_interval(wins, 0.95, 4000, seed=2)
    half = 1.96 * wins.std() / 20
    assert low == pytest.approx(wins.mean() - half, abs=0.006)
    assert high == pytest.approx(wins.mean() + half, abs=0.006)
    assert bootstrap_interval(wins, 0.95, 4000, seed=2) == (low, high)
