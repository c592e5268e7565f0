"""Scales: a statistic that is not normal has its margin on a function of it that is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from assignment.registry import load_spec
from autograder.calibration import document, tables
from autograder.calibration.findings import Finding, findings
from autograder.calibration.rates import chance_of_failing
from autograder.calibration.statistics import FISHER, LOGARITHM, RECIPROCAL, STATISTICS, Scale, Statistic
from autograder.calibration.subjects import Subject, subjects
from autograder.training.run import STAGES

SPEC = load_spec()
THRESHOLDS, FRESH = SPEC.thresholds("tiny"), SPEC.rerun.seeds
PPO = next(stage for stage in STAGES if "ppo_kl" in stage.items)
REFERENCE = next(one for one in subjects(SPEC) if one.kind == "reference" and one.stage is PPO)
KL = next(one for one in STATISTICS if (one.item, one.name) == ("ppo_kl", "kl"))
GRID = stats.norm.ppf((np.arange(40) + 0.5) / 40)
MEAN, DEVIATION = -0.27, 0.08  # of -1/KL; the KL's own upper tail is long


def runs(kl: list[float], subject: Subject = REFERENCE) -> list[tuple[Subject, list[dict[str, str]]]]:
    """Make up runs with these KLs and ordinary other values."""
    rest = dict.fromkeys(tables.fields(PPO), "0.9") | {"status": tables.MEASURED, "seconds": "70.0", "log_p": "-60"}
    return [(subject, [rest | {"kl": repr(float(one))} for one in kl])]


def kl_finding(kl: list[float]) -> Finding:
    return next(one for one in findings(runs(kl), THRESHOLDS) if one.statistic is KL)


@pytest.mark.parametrize(
    ("scale", "values"), [(RECIPROCAL, (0.3, 3.7, 12.0)), (FISHER, (-0.4, 0.25, 0.88)), (LOGARITHM, (0.04, 0.2, 1.7))]
)
def test_scale_rises_and_its_inverse_restores_values(scale: Scale, values: tuple[float, ...]) -> None:
    on_scale = [scale.apply(x) for x in values]
    assert on_scale == sorted(on_scale)
    assert [scale.back(y) for y in on_scale] == pytest.approx(values)


@pytest.mark.parametrize(("scale", "ends"), [(RECIPROCAL, (0.0, -1e-3)), (FISHER, (1.0, -1.0)), (LOGARITHM, (0.0,))])
def test_scale_is_finite_outside_the_domain_of_its_function(scale: Scale, ends: tuple[float, ...]) -> None:
    assert all(math.isfinite(scale.apply(x)) for x in ends)


def test_margin_and_chance_of_failing_are_those_of_scaled_values() -> None:
    found = kl_finding([-1 / (MEAN + DEVIATION * z) for z in GRID])
    assert found.margin is not None
    assert found.margin.normal
    spread = DEVIATION * float(np.std(GRID, ddof=1))
    upper = (-1 / THRESHOLDS.ppo_kl.max - MEAN) / spread
    assert found.margin.distance == pytest.approx(upper, rel=1e-9)  # the lower end is much farther away
    farther = (-1 / (THRESHOLDS.ppo_kl.max + THRESHOLDS.ppo_kl.retry_margin) - MEAN) / spread
    first, far = stats.norm.sf(upper), stats.norm.sf(farther)
    fails = far + (first - far) * (1 - stats.binom.sf(1, FRESH, 1 - first))
    assert chance_of_failing([found], FRESH) == pytest.approx(float(fails), rel=1e-3)


def test_unscaled_runs_are_not_normal() -> None:
    values = [-1 / (MEAN + DEVIATION * z) for z in GRID]
    assert stats.shapiro(values).pvalue < 0.01 < stats.shapiro([RECIPROCAL.apply(x) for x in values]).pvalue


def test_document_shows_unscaled_values_and_names_the_scale() -> None:
    kl = [-1 / (MEAN + DEVIATION * z) for z in GRID]
    text = document.text(findings(runs(kl), THRESHOLDS), document.Study(runs(kl), 0, SPEC))
    section = text.split("## `ppo_kl`: kl\n")[1].split("\n## ")[0]
    assert f"| 40 | {np.mean(kl):.3g} | {np.std(kl, ddof=1):.2g} |" in section
    assert f"those of {RECIPROCAL.words}" in section
    plain: list[Statistic] = [one for one in STATISTICS if not one.scale.words]
    assert text.count("Distance and normality are those of") == len(STATISTICS) - len(plain) - _absent()


def _absent() -> int:
    """Count scaled statistics of other stages, which have no runs here."""
    return sum(bool(one.scale.words) for one in STATISTICS if one.item not in PPO.items)
