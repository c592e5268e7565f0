"""Error rates of made-up findings agree with the rates of simulated verdicts."""

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
THRESHOLDS, FRESH = SPEC.thresholds("tiny"), SPEC.rerun.seeds
GRID = np.linspace(0.005, 0.995, 100)
PLAIN = next(one for one in STATISTICS if not one.scale.words)  # its margins are those of its values


def finding(mean: float, deviation: float, low: float, retry_margin: float, must: str = "pass") -> Finding:
    """Make up a finding on a statistic that must be at least `low`."""
    x = tuple(float(v) for v in stats.norm(mean, deviation).ppf(GRID))
    margin = (margin_inside if must == "pass" else margin_outside)(x, (low, None))
    return Finding(subjects(SPEC)[0], PLAIN, must, x, 0, 0, margin, (low, None), retry_margin, 1.0)


def simulated_pass_rate(parts: list[Finding], runs: int = 400_000) -> float:
    """Simulate runs of these independent statistics. Returns the share of submissions that pass the item."""
    rng = np.random.default_rng(5)
    margins = [one.margin for one in parts]
    draws = np.array([rng.normal(m.mean, m.deviation, (runs, 1 + FRESH)) for m in margins if m])  # (parts, runs, 3)
    low = np.array([one.allowed[0] for one in parts], dtype=float)[:, None]
    slack = np.array([one.retry_margin for one in parts])[:, None]
    good = (draws >= low[:, :, None]).all(0)  # (runs, 3)
    close = ~good[:, 0] & (draws[:, :, 0] >= low - slack).all(0)
    return float((good[:, 0] | (close & (2 * good.sum(1) > 1 + FRESH))).mean())


def test_chance_of_failing_equals_the_simulated_rate() -> None:
    one = finding(1.0, 0.2, low=0.8, retry_margin=0.1)
    assert chance_of_failing([one], FRESH) == pytest.approx(1 - simulated_pass_rate([one]), rel=0.03)


def test_chance_of_failing_by_several_statistics_is_an_upper_bound() -> None:
    parts = [finding(1.0, 0.2, low=0.7, retry_margin=0.1), finding(3.0, 0.5, low=2.2, retry_margin=0.3)]
    true, bound = 1 - simulated_pass_rate(parts), chance_of_failing(parts, FRESH)
    assert max(chance_of_failing([one], FRESH) for one in parts) < true <= bound < 1.5 * true


def test_chance_of_passing_equals_the_simulated_rate() -> None:
    wrong = finding(0.5, 0.2, low=0.8, retry_margin=0.1, must="fail")
    assert chance_of_passing(wrong, FRESH) == pytest.approx(simulated_pass_rate([wrong]), rel=0.03)
    assert chance_of_passing(wrong, FRESH) > float(stats.norm(0.5, 0.2).sf(0.8))  # fresh seeds help wrong code too


def test_chance_of_failing_of_runs_that_are_not_normal_comes_from_counts() -> None:
    x = (*np.linspace(1.0, 1.1, 39), 2.0)
    odd = Finding(subjects(SPEC)[0], PLAIN, "pass", x, 0, 0, margin_inside(x, (0.8, None)), (0.8, None), 0.0, 1.0)
    assert chance_of_failing([odd], FRESH) == pytest.approx(1 - 0.05 ** (1 / 40))


@pytest.mark.parametrize(
    ("distance", "retry_margin", "holds"),
    [
        (3.2, 0.21, True),
        (3.2, 0.03, False),
        (2.6, 0.4, False),
    ],  # required: 2.94 SD to the threshold, 3.87 to the widened one
)
def test_close_threshold_holds_if_fresh_seeds_decide_seldom_and_the_retry_margin_is_wide(
    distance: float, retry_margin: float, holds: bool
) -> None:
    style, deviation = next(one for one in of_items(("rm_accuracy",)) if one.name == "style"), 0.2
    rm_accuracy = THRESHOLDS.rm_accuracy.model_copy(update={"style_retry_margin": retry_margin})
    thresholds = THRESHOLDS.model_copy(update={"rm_accuracy": rm_accuracy})
    z = stats.zscore(stats.norm.ppf((np.arange(40) + 0.5) / 40), ddof=1)
    reference = next(one for one in subjects(SPEC) if one.stage.op == "stage_rm" and one.kind == "reference")
    rest = dict.fromkeys(tables.fields(reference.stage), "0.97") | {"status": tables.MEASURED}
    rows = [rest | {"style": str(rm_accuracy.style_min + deviation * (distance + x))} for x in z]
    found = next(one for one in findings([(reference, rows)], thresholds) if one.statistic == style)
    assert found.margin is not None
    assert found.margin.distance == pytest.approx(distance)
    assert found.widened_margin is not None
    assert found.widened_margin.distance == pytest.approx(distance + retry_margin / deviation)
    assert (found.holds, found.holds_with_fresh_seeds) == (False, holds)
    assert ("holds with fresh seeds:" in document.text([found], document.Study([(reference, rows)], 0, SPEC))) == holds
