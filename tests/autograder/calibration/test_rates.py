"""Error rates of a made-up finding: what the fits say is what drawing the verdicts gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assignment.registry import load_spec
from autograder.calibration import document, tables
from autograder.calibration.findings import Finding, findings
from autograder.calibration.margins import margin_inside, margin_outside
from autograder.calibration.rates import chance_of_failing, chance_of_passing
from autograder.calibration.statistics import STATISTICS, of_items
from autograder.calibration.subjects import subjects

SPEC = load_spec()
BARS, FRESH = SPEC.thresholds("tiny"), SPEC.rerun.seeds
GRID = np.linspace(0.005, 0.995, 100)
PLAIN = next(one for one in STATISTICS if not one.scale.words)  # its margins are those of its values


def finding(mean: float, deviation: float, low: float, near: float, must: str = "pass") -> Finding:
    """A made-up finding on a statistic that must be at least `low`."""
    x = tuple(float(v) for v in stats.norm(mean, deviation).ppf(GRID))
    margin = (margin_inside if must == "pass" else margin_outside)(x, (low, None))
    return Finding(subjects(SPEC)[0], PLAIN, must, x, 0, 0, margin, (low, None), near, 1.0)


def simulated_pass_rate(parts: list[Finding], runs: int = 400_000) -> float:
    """Share of submissions that pass an item of these independent statistics, by drawing their runs."""
    rng = np.random.default_rng(5)
    margins = [one.margin for one in parts]
    draws = np.array([rng.normal(m.mean, m.deviation, (runs, 1 + FRESH)) for m in margins if m])  # (parts, runs, 3)
    bar = np.array([one.allowed[0] for one in parts], dtype=float)[:, None]
    slack = np.array([one.near for one in parts])[:, None]
    good = (draws >= bar[:, :, None]).all(0)  # (runs, 3)
    near = ~good[:, 0] & (draws[:, :, 0] >= bar - slack).all(0)
    return float((good[:, 0] | (near & (2 * good.sum(1) > 1 + FRESH))).mean())


def test_the_chance_of_failing_is_what_drawing_the_verdicts_gives() -> None:
    one = finding(1.0, 0.2, low=0.8, near=0.1)
    assert chance_of_failing([one], FRESH) == pytest.approx(1 - simulated_pass_rate([one]), rel=0.03)


def test_an_item_of_several_statistics_fails_at_most_as_often_as_bounded() -> None:
    parts = [finding(1.0, 0.2, low=0.7, near=0.1), finding(3.0, 0.5, low=2.2, near=0.3)]
    true, bound = 1 - simulated_pass_rate(parts), chance_of_failing(parts, FRESH)
    assert max(chance_of_failing([one], FRESH) for one in parts) < true <= bound < 1.5 * true


def test_the_chance_of_passing_is_what_drawing_the_verdicts_gives() -> None:
    wrong = finding(0.5, 0.2, low=0.8, near=0.1, must="fail")
    assert chance_of_passing(wrong, FRESH) == pytest.approx(simulated_pass_rate([wrong]), rel=0.03)
    assert chance_of_passing(wrong, FRESH) > float(stats.norm(0.5, 0.2).sf(0.8))  # fresh seeds help wrong code too


def test_runs_that_are_not_normal_leave_what_their_counts_leave_open() -> None:
    x = (*np.linspace(1.0, 1.1, 39), 2.0)
    odd = Finding(subjects(SPEC)[0], PLAIN, "pass", x, 0, 0, margin_inside(x, (0.8, None)), (0.8, None), 0.0, 1.0)
    assert chance_of_failing([odd], FRESH) == pytest.approx(1 - 0.05 ** (1 / 40))


@pytest.mark.parametrize(
    ("distance", "near", "holds"),
    [(3.2, 0.21, True), (3.2, 0.03, False), (2.6, 0.4, False)],  # of 2.94 SD asked to the bar, 3.87 to where near ends
)
def test_a_near_bar_holds_if_fresh_seeds_are_seldom_asked_and_reach_far(
    distance: float, near: float, holds: bool
) -> None:
    style, deviation = next(one for one in of_items(("rm_accuracy",)) if one.name == "style"), 0.2
    bars = BARS.model_copy(update={"rm_accuracy": BARS.rm_accuracy.model_copy(update={"style_near": near})})
    z = stats.zscore(stats.norm.ppf((np.arange(40) + 0.5) / 40), ddof=1)
    reference = next(one for one in subjects(SPEC) if one.stage.op == "stage_rm" and one.kind == "reference")
    rest = dict.fromkeys(tables.fields(reference.stage), "0.97") | {"status": tables.MEASURED}
    rows = [rest | {"style": str(bars.rm_accuracy.style_min + deviation * (distance + x))} for x in z]
    found = next(one for one in findings([(reference, rows)], bars) if one.statistic == style)
    assert found.margin is not None
    assert found.margin.distance == pytest.approx(distance)
    assert found.final is not None
    assert found.final.distance == pytest.approx(distance + near / deviation)
    assert (found.holds, found.holds_with_fresh_seeds) == (False, holds)
    assert ("holds with fresh seeds:" in document.text([found], document.Study([(reference, rows)], 0, SPEC))) == holds
