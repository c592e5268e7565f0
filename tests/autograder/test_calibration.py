"""The study of the training tests: its arithmetic, its tables, and that the bars are the ones it judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assignment.spec import load_spec
from autograder.calibration import document, study
from autograder.calibration.findings import FALSE_ALARM, chance_of_failing, findings
from autograder.calibration.statistics import (
    CONFIDENCE,
    STATISTICS,
    error_upper_bound,
    margin_inside,
    margin_outside,
    tolerance_factor,
)
from autograder.calibration.subjects import subjects
from autograder.lanes import Lanes
from autograder.misconceptions import LibraryError

from .small_lab import LocalSession, small_lab

studied = pytest.mark.skipif(not document.DOCUMENT.exists(), reason="the study is not there: rlhf-lab calibrate")
BARS = load_spec().thresholds("tiny")


@pytest.mark.parametrize(("n", "error"), [(40, 0.001), (10, 0.01)])
def test_the_tolerance_factor_covers_as_often_as_it_says(n: int, error: float) -> None:
    draws = np.random.default_rng(11).normal(size=(20_000, n))
    limit = draws.mean(1) + tolerance_factor(n, error) * draws.std(1, ddof=1)
    covered = float((stats.norm.sf(limit) <= error).mean())
    assert abs(covered - CONFIDENCE) < 0.006  # four standard errors of a share of 20,000 draws


def test_margins_point_to_the_nearer_and_the_farther_end() -> None:
    values = [1.0, 2.0, 3.0]  # mean 2, SD 1
    assert margin_inside(values, (0.5, 7.0)).distance == pytest.approx(1.5)
    assert margin_inside(values, (None, 2.25)).distance == pytest.approx(0.25)
    assert margin_outside(values, (4.5, 9.0)).distance == pytest.approx(2.5)
    assert margin_outside(values, (0.5, 7.0)).distance == pytest.approx(-1.5)


def test_runs_that_are_all_equal_have_an_endless_margin_on_their_side_of_the_bar() -> None:
    assert margin_outside([1.0] * 10, (None, 0.6)).holds(0.01)
    assert not margin_outside([0.5] * 10, (None, 0.6)).holds(0.01)


def test_the_bound_from_counts_is_the_rule_of_three_where_nothing_failed() -> None:
    assert error_upper_bound(0, 40) == pytest.approx(1 - 0.05 ** (1 / 40))
    assert error_upper_bound(7, 7) == 1.0


def test_fresh_seeds_forgive_near_misses_only() -> None:
    values = [float(v) for v in stats.norm(1.0, 0.2).ppf(np.linspace(0.02, 0.98, 41))]
    without = chance_of_failing(values, (0.8, None), near=0.0)
    forgiven = chance_of_failing(values, (0.8, None), near=10.0)
    assert forgiven == pytest.approx(without * (1 - (1 - without) ** 2))
    assert forgiven < without


def test_every_stage_has_a_reference_three_variants_and_near_misses_that_fail_its_items() -> None:
    for stage in {subject.stage for subject in subjects()}:
        mine = [subject for subject in subjects() if subject.stage == stage]
        assert [s.kind for s in mine].count("reference") == 1
        assert [s.kind for s in mine].count("variant") >= 3
        assert {item for s in mine for item in s.fails} == set(stage.items)
    assert len({s.id for s in subjects()}) == len(subjects()) - 2  # the reference stands in all three
    assert len({s.code.key for s in subjects()}) == len(subjects())  # nobody is somebody else's code


def test_an_entry_with_a_wrong_item_is_refused_by_name() -> None:
    from autograder.calibration.subjects import _subject

    entry = {"id": "odd", "stage": "stage_sft", "kind": "near_miss", "title": "odd", "fails": ["ppo_kl"]}
    with pytest.raises(LibraryError, match="odd names items"):
        _subject(load_spec(), entry)


def test_a_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    lab = small_lab(tmp_path)
    wanted = study.jobs(lab, ["sft_rate_zero"], {"reference": 1, "variant": 1, "near_miss": 2})
    session = LocalSession()
    lanes = Lanes(session)
    study.run(lab, wanted, lanes, tmp_path, until=0.0)
    assert study.missing(wanted, tmp_path) == wanted  # its time was over before it began
    study.run(lab, wanted[:1], lanes, tmp_path)
    assert study.missing(wanted, tmp_path) == wanted[1:]
    study.run(lab, study.missing(wanted, tmp_path), lanes, tmp_path)
    assert study.missing(wanted, tmp_path) == []
    assert session.seeds == [job.seed for job in wanted]  # each run starts from its own random numbers
    lines = study.rows(wanted[0].subject.stage, tmp_path)
    assert [line["status"] for line in lines] == ["measured", "measured"]
    assert [line["sft_loss_trend.passed"] for line in lines] == ["0", "0"]
    assert all(float(line["ratio"]) == pytest.approx(1.0, abs=1e-6) for line in lines)  # nothing was learned


def committed() -> list:
    """Findings from the committed tables under today's bars, whatever code the runs belong to."""
    runs = []
    for subject in subjects():
        mine = [row for row in study.rows(subject.stage) if row["subject"] == subject.id]
        runs.append((subject, mine))
    return findings(runs, BARS)


def test_under_todays_bars_the_committed_runs_are_judged_as_they_were() -> None:
    for subject in subjects():
        for row in (row for row in study.rows(subject.stage) if row["subject"] == subject.id):
            for item in subject.stage.items if row["status"] == "measured" else ():
                inside = all(
                    (low is None or float(row[one.name]) >= low) and (high is None or float(row[one.name]) <= high)
                    for one in STATISTICS
                    for low, high in [one.allowed(BARS)]
                    if one.item == item or (one.item, one.name, item) == ("ppo_reward", "style", "ppo_kl")
                )
                assert inside == (row[f"{item}.passed"] == "1"), f"{row}: run `rlhf-lab calibrate`"


@studied
def test_the_document_states_todays_bars() -> None:
    text = document.DOCUMENT.read_text(encoding="utf-8")
    for one in STATISTICS:
        section = text.split(f"## `{one.item}`: {one.name}\n")[1]
        bar = document.bar_text(one.allowed(BARS))
        assert f"Bar: **{bar}**" in section.split("\n## ")[0], "run `rlhf-lab calibrate --minutes 0`"


@studied
def test_no_committed_run_of_right_code_failed() -> None:
    right = [one for one in committed() if one.must == "pass"]
    assert right
    assert [one.subject.id for one in right if one.mistakes] == []
    for one in right:
        if one.subject.kind == "reference":
            assert one.margin is not None and one.margin.holds(FALSE_ALARM), one
