"""Charts show their numbers in the right place, and unusual numbers cause no error."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.report.evidence import charts
from autograder.report.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, finite_pairs, svg, ticks
from tests.support.report_fixture import SPEC, typical_results

numbers = st.floats(-1e12, 1e12, allow_nan=False)


def chart(x: tuple[float, ...], y: tuple[float, ...], **more: object) -> Chart:
    return Chart("Loss", "step", "nats", x, y, **more)


def curve_points(drawing: str) -> list[tuple[float, float]]:
    pairs = re.search(r'class="curve" points="([^"]*)"', drawing).group(1).split()
    return [(float(a), float(b)) for a, b in (pair.split(",") for pair in pairs)]


def test_a_falling_loss_falls_on_the_page() -> None:
    points = curve_points(svg(chart((0, 10, 20), (3.0, 2.0, 1.0))))
    assert points[0][1] < points[1][1] < points[2][1]  # SVG's y grows downwards
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_every_point_lies_inside_the_axes(rows: list[tuple[float, float]]) -> None:
    x, y = finite_pairs([r[0] for r in rows], [r[1] for r in rows])
    for a, b in curve_points(svg(chart(x, y))):
        assert LEFT - 0.1 <= a <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= b <= HEIGHT - BOTTOM + 0.1


@given(numbers, st.floats(1e-6, 1e12))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 8
    slack = 1e-6 * max(abs(low), span, 1.0)
    assert all(low - slack <= tick <= low + span + slack for tick in found)


def test_a_threshold_line_is_drawn_between_values_around_it() -> None:
    drawing = svg(chart((0, 1), (1.0, 3.0), threshold=2.0))
    line = float(re.search(r'class="threshold" [^>]*y1="([\d.]+)"', drawing).group(1))
    above, below = (y for _, y in curve_points(drawing))
    assert below < line < above
    assert "threshold 2" in drawing


def test_a_band_far_above_the_curve_does_not_flatten_it() -> None:
    points = curve_points(svg(chart((0, 1), (0.0, 1.0), band=(0.3, 1000.0))))
    assert points[0][1] - points[1][1] > 0.2 * (HEIGHT - TOP - BOTTOM)


def test_values_that_are_no_numbers_are_left_out() -> None:
    assert finite_pairs([2, 1, "x", 3, 4], [1.0, 5.0, 2.0, float("nan"), None]) == ((1.0, 2.0), (5.0, 1.0))
    assert svg(chart((), ())) == ""


def test_texts_of_a_chart_are_escaped() -> None:
    drawing = svg(Chart('<b>\u202e"', "step", "<i>", (0.0,), (1.0,)))
    assert "<b>" not in drawing
    assert "<i>" not in drawing
    assert "\u202e" not in drawing


def test_a_chart_has_a_summary_in_words() -> None:
    assert chart((0, 8), (3.0, 1.0), threshold=2.0).summary == "Loss: from 3 at step 0 to 1 at step 8; threshold 2."


def test_each_training_curve_is_drawn_with_what_it_is_held_against() -> None:
    results, spec = typical_results(), SPEC
    drawn = {one.title.partition(":")[2].strip(): one for one in charts(results, spec, "tiny")}
    loss, accuracy, reward, kl = drawn.values()
    assert loss.threshold == results["sft_loss_trend"].evidence["bar"]
    assert accuracy.threshold == spec.thresholds("tiny").rm_accuracy.lower_bound_min
    assert accuracy.interval == tuple(results["rm_accuracy"].evidence["interval"])
    assert (reward.threshold, reward.band, reward.interval) == (None, None, None)
    assert kl.band == tuple(results["ppo_kl"].evidence["range"])


def test_the_kl_curve_has_no_band_if_its_item_was_not_graded() -> None:
    results = {id_: one for id_, one in typical_results().items() if id_ != "ppo_kl"}
    assert [one.band for one in charts(results, SPEC, "tiny")] == [None] * 4
