"""The interval of a mean: the textbook's, close to the bootstrap's, true as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from rlhf_kit.intervals import mean_interval

REWARDS = np.clip(np.random.default_rng(3).normal(0.5, 2.0, size=400), -3, 3)  # as gold rewards lie, many at the limit


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_interval_is_that_of_the_normal_distribution(confidence):
    expected = stats.norm.interval(confidence, loc=REWARDS.mean(), scale=stats.sem(REWARDS))
    assert mean_interval(list(REWARDS), confidence) == pytest.approx(expected)


def test_the_interval_is_close_to_the_percentile_bootstraps():
    found = stats.bootstrap((REWARDS,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    width = found.high - found.low
    assert mean_interval(list(REWARDS)) == pytest.approx((found.low, found.high), abs=0.05 * width)


def test_the_true_mean_lies_inside_in_95_of_100_samples():
    samples = np.random.default_rng(0).exponential(size=(1000, 100))  # true mean 1, skewed
    hits = sum(low <= 1 <= high for low, high in map(mean_interval, samples))
    assert 0.92 <= hits / 1000 <= 0.97


@pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor], ids=lambda make: make.__name__)
def test_lists_arrays_and_tensors_give_the_same_two_floats(make):
    found = mean_interval(make([1.0, 2.0, 4.0]))
    assert found == pytest.approx(mean_interval([1.0, 2.0, 4.0]))
    assert [type(end) for end in found] == [float, float]


def test_equal_values_have_an_interval_without_width():
    assert mean_interval([0.5] * 10) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "confidence", "message"),
    [
        ([], 0.95, "at least two values, and there are 0"),
        ([1.0], 0.95, "at least two values, and there are 1"),
        ([1.0, math.nan], 0.95, "NaN or infinite"),
        ([1.0, 2.0], 95, "between 0 and 1, such as 0.95; it is 95"),
    ],
)
def test_what_has_no_interval_is_refused_with_the_reason(values, confidence, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, confidence)
