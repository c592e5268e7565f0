"""Intervals against textbook values, and where they lie."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from assignment.lab import intervals


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (7, 20), (20, 20), (81, 263)])
def test_few_seeds_give_wilsons_interval_of_the_pooled_counts(hits: int, n: int) -> None:
    found = intervals.share([hits], [n])
    wilson = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == (pytest.approx(wilson.low, abs=1e-6), pytest.approx(wilson.high, abs=1e-6))


def test_pooled_share_weighs_seeds_by_their_replies() -> None:
    assert intervals.share([10, 0], [10, 30]).value == 0.25


def test_seeds_that_agree_exactly_give_a_bootstrap_interval_without_width() -> None:
    found = intervals.share([3] * 8, [10] * 8)
    assert (found.low, found.value, found.high) == pytest.approx((0.3, 0.3, 0.3))


def test_bootstrap_over_seeds_is_wider_than_replies_alone_where_seeds_differ() -> None:
    hits, n = [10, 90] * 10, [100] * 20
    found = intervals.share(hits, n)
    # standard error of a mean of 20 seeds with standard deviation 0.4
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.4 / 20**0.5, rel=0.1)


def test_difference_is_what_only_the_second_gets_right_less_what_only_the_first_does() -> None:
    assert intervals.difference([5, 0], [1, 2], [10, 10]).value == pytest.approx(-0.1)


def test_difference_of_few_seeds_is_that_of_agresti_and_min() -> None:
    # worked out by hand from 10.5 and 20.5 of 102: difference 10/102, variance (31/102 - (10/102)²)/102
    found = intervals.difference([10], [20], [100])
    assert (found.low, found.high) == (pytest.approx(-0.00724, abs=1e-5), pytest.approx(0.20332, abs=1e-5))


def test_models_that_never_disagree_still_have_an_interval_with_width() -> None:
    found = intervals.difference([0], [0], [50])
    assert found.low < 0 < found.high
