"""The study of the training tests: its margins, its order of runs and its tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from assignment.registry import load_spec
from autograder.calibration import study, tables
from autograder.calibration.findings import passes
from autograder.calibration.margins import (
    CONFIDENCE,
    cantelli,
    error_upper_bound,
    margin_inside,
    margin_outside,
    tolerance_factor,
)
from autograder.calibration.statistics import STATISTICS
from autograder.calibration.subjects import subjects
from autograder.sandbox.pool import WorkerPool
from autograder.slots.misconceptions import LibraryError
from autograder.training import data
from autograder.training.run import STAGES, StageRun, run_stage
from tests.support.small_lab import LocalSession, small_lab

if TYPE_CHECKING:
    from pathlib import Path

SPEC = load_spec()

SFT, RM, PPO, COMPARISON = STAGES
# Wrong solutions that the study must have; the file may hold more.
WRONG_SOLUTIONS = {
    "learning rate 0": {"sft_rate_zero", "rm_rate_zero", "ppo_rate_zero"},
    "frozen body": {"sft_frozen_body", "rm_frozen_body"},
    "labels with padding and prompt": {"sft_all_labels", "sft_padding"},
    "swapped pairs": {"rm_swapped"},
    "reward model without the prompt": {"rm_no_prompt"},
    "reward model that measures length": {"rm_length"},
    "the source homework's pseudo-PPO": {"ppo_no_gradient"},
    "flipped KL sign": {"ppo_kl_sign"},
    "no KL penalty with a high learning rate": {"ppo_no_kl"},
    "collapsed policy": {"ppo_collapsed"},
    "reward hacked without gain": {"ppo_hacked"},
}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    for name, rows in (("DEMONSTRATIONS", 160), ("PREFERENCES", 120), ("TRAIN_PROMPTS", 60)):
        monkeypatch.setattr(data, name, rows)
    return small_lab(tmp_path)


@pytest.mark.parametrize(("n", "error"), [(40, 0.001), (10, 0.01)])
def test_tolerance_factor_has_the_stated_confidence(n: int, error: float) -> None:
    draws = np.random.default_rng(11).normal(size=(20_000, n))
    limit = draws.mean(1) + tolerance_factor(n, error) * draws.std(1, ddof=1)
    covered = float((stats.norm.sf(limit) <= error).mean())
    assert abs(covered - CONFIDENCE) < 0.006  # four standard errors of a share of 20,000 draws


def test_margin_inside_is_to_the_nearer_end_and_outside_from_the_farther_end() -> None:
    values = [1.0, 2.0, 3.0]  # mean 2, SD 1
    assert margin_inside(values, (0.5, 7.0)).distance == pytest.approx(1.5)
    assert margin_inside(values, (None, 2.25)).distance == pytest.approx(0.25)
    assert margin_outside(values, (4.5, 9.0)).distance == pytest.approx(2.5)
    assert margin_outside(values, (0.5, 7.0)).distance == pytest.approx(-1.5)


def test_equal_runs_hold_on_their_side_of_the_threshold() -> None:
    assert margin_outside([1.0] * 10, (None, 0.6)).holds(0.01)
    assert not margin_outside([0.5] * 10, (None, 0.6)).holds(0.01)


def test_runs_that_are_not_normal_hold_only_at_the_distance_of_cantelli() -> None:
    tailed = np.append(np.linspace(0.0, 1.0, 39), 12.0)
    near, far = (margin_inside(tailed, (None, float(tailed.mean() + k * tailed.std(ddof=1)))) for k in (8, 32))
    assert not near.normal
    assert near.far(0.001)
    assert not near.holds(0.001)
    assert cantelli(near.distance) > 0.001
    assert far.holds(0.001)


def test_error_upper_bound_without_failures_is_exact() -> None:
    assert error_upper_bound(0, 40) == pytest.approx(1 - 0.05 ** (1 / 40))
    assert error_upper_bound(7, 7) == 1.0


def test_study_has_forty_ten_and_five_seeds_by_kind() -> None:
    assert study.SEEDS == {"reference": 40, "near_miss": 10, "variant": 5}
    counts = {(s.stage.op, s.id): 0 for s in subjects(SPEC)}
    for job in study.jobs(study_lab()):
        counts[job.subject.stage.op, job.subject.id] += 1
    assert counts == {(s.stage.op, s.id): study.SEEDS[s.kind] for s in subjects(SPEC)}


def study_lab():
    """Return the lab of the study itself."""
    import rlhf_kit as kit
    from autograder.reference.models import load_reference
    from autograder.training.stage import Lab

    return Lab(load_reference(), load_spec(), kit.get_profile())


@pytest.mark.parametrize("wanted", WRONG_SOLUTIONS)
def test_each_wrong_solution_that_the_study_must_have_is_there(wanted: str) -> None:
    assert WRONG_SOLUTIONS[wanted] <= {s.id for s in subjects(SPEC) if s.kind == "near_miss"}


def test_every_stage_has_a_reference_and_variants_and_every_item_a_wrong_solution() -> None:
    for stage in STAGES:
        mine = [subject for subject in subjects(SPEC) if subject.stage == stage]
        assert [s.kind for s in mine].count("reference") == 1
        assert [s.kind for s in mine].count("variant") >= 3
        assert {item for s in mine for item in s.fails} == set(stage.items)
    assert len({s.id for s in subjects(SPEC)}) == len(subjects(SPEC)) - len(STAGES) + 1  # each stage has a reference
    assert len({s.key for s in subjects(SPEC)}) == len(subjects(SPEC))  # no two subjects have the same code


def test_wrong_solution_that_need_not_fail_has_a_note() -> None:
    assert [s.id for s in subjects(SPEC) if s.kind == "near_miss" and not s.fails and not s.note] == []


@pytest.mark.parametrize("fails", ["ppo_kl = 'kl'", "sft_loss_trend = 'gain'"])
def test_entry_with_a_wrong_item_or_statistic_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    entry = f"[[subject]]\nid = 'odd'\nstage = 'stage_sft'\nkind = 'near_miss'\ntitle = 'odd'\nfails.{fails}\n"
    (tmp_path / "subjects.toml").write_text(entry, encoding="utf-8")
    monkeypatch.setattr(sys.modules[subjects.__module__], "FILE", tmp_path / "subjects.toml")
    with pytest.raises(LibraryError, match="odd names items"):
        subjects(SPEC)


def test_reference_runs_first_and_the_longest_stage_before_others(lab) -> None:
    order = study.jobs(lab)
    assert [job.subject.kind for job in order[: len(STAGES)]] == ["reference"] * len(STAGES)
    assert [job.seconds for job in order[: len(STAGES)]] == sorted((j.seconds for j in order[:4]), reverse=True)


def test_interrupted_study_covers_all_subjects_evenly(lab) -> None:
    order = study.jobs(lab)
    for cut in (len(order) // 4, len(order) // 2):
        shares: dict[tuple[str, str], float] = {(s.stage.op, s.id): 0.0 for s in subjects(SPEC)}
        for job in order[:cut]:
            shares[job.subject.stage.op, job.subject.id] += 1 / study.SEEDS[job.subject.kind]
        assert max(shares.values()) - min(shares.values()) <= 1 / study.SEEDS["variant"] + 1e-9


def test_interrupted_study_continues_with_the_missing_runs(lab, tmp_path: Path) -> None:
    wanted = study.jobs(lab, ["sft_rate_zero"], {"reference": 1, "variant": 1, "near_miss": 2})
    session = LocalSession()
    pool = WorkerPool(session)
    study.run(lab, wanted, pool, tmp_path, until=0.0)
    assert study.missing(wanted, tmp_path) == wanted  # no run starts after `until`
    study.run(lab, wanted[:1], pool, tmp_path)
    assert study.missing(wanted, tmp_path) == wanted[1:]
    study.run(lab, study.missing(wanted, tmp_path), pool, tmp_path)
    assert study.missing(wanted, tmp_path) == []
    assert session.seeds == [job.seed for job in wanted]  # each run sets the random state of its seed
    lines = tables.rows(SFT, tmp_path)
    assert [line["status"] for line in lines] == ["measured", "measured"]
    assert [line["sft_loss_trend.passed"] for line in lines] == ["0", "0"]
    assert all(float(line["ratio"]) == pytest.approx(1.0, abs=1e-6) for line in lines)  # nothing was learned


def test_run_is_written_before_the_next_one_starts(lab, tmp_path: Path) -> None:
    wanted = study.jobs(lab, ["sft_rate_zero"], {"reference": 1, "variant": 1, "near_miss": 2})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.run(lab, wanted, WorkerPool(LocalSession()), tmp_path, on_done=killed)
    assert study.missing(wanted, tmp_path) == wanted[1:]


def measured_alike(lab, chosen) -> None:
    """Assert that each of them is measured, and that its statistics give the verdicts of the stage."""
    for subject in chosen:
        found = run_stage(LocalSession(), StageRun(lab, subject.stage, subject.code, 5))
        row = tables.line(subject.stage, {}, found)
        assert row["status"] == tables.MEASURED, (
            subject.id,
            found,
        )  # a wrong solution fails by what it learned, not by a crash
        for item in subject.stage.items:
            assert passes(row, item, lab.thresholds) == (row[f"{item}.passed"] == "1"), (subject.id, item, row)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.op)
def test_item_passes_if_all_its_statistics_are_inside(lab, stage) -> None:
    measured_alike(lab, [subject for subject in subjects(SPEC) if subject.stage == stage][:1])


@pytest.mark.slow  # two minutes: every subject trains, on a model of one layer
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.op)
def test_every_subject_can_be_measured(lab, stage) -> None:
    measured_alike(lab, [subject for subject in subjects(SPEC) if subject.stage == stage])


def test_run_without_weights_is_repeated_and_its_last_line_counts(lab, tmp_path: Path) -> None:
    (job,) = study.jobs(lab, ["sft_rate_zero"], {"reference": 1, "variant": 1, "near_miss": 1})
    row = dict.fromkeys(tables.fields(SFT), "") | {"subject": job.subject.id, "seed": str(job.seed), "key": job.key}
    tables.append(SFT, row | {"status": "timeout"}, tmp_path)
    assert study.missing([job], tmp_path) == [job]
    tables.append(SFT, row | {"status": tables.MEASURED}, tmp_path)
    assert study.missing([job], tmp_path) == []
    (found,) = [some for subject, some in study.measured(SPEC, tmp_path) if subject.id == job.subject.id]
    assert [one["status"] for one in found] == [tables.MEASURED]


def test_table_with_other_columns_or_an_incomplete_line_is_refused(tmp_path: Path) -> None:
    path = tables.table(SFT, tmp_path)
    row = dict.fromkeys(tables.fields(SFT), "1")
    tables.append(SFT, row, tmp_path)
    tables.append(SFT, row, tmp_path)
    assert tables.rows(SFT, tmp_path) == [row, row]
    whole = path.read_text()
    path.write_text(whole + "reference,7")
    with pytest.raises(tables.TableError, match="incomplete line"):
        tables.append(SFT, row, tmp_path)
    path.write_text(whole.replace("ratio", "other"))
    for use in (lambda: tables.rows(SFT, tmp_path), lambda: tables.append(SFT, row, tmp_path)):
        with pytest.raises(tables.TableError, match="other columns"):
            use()


def test_columns_of_a_table_are_unique_and_cover_every_item() -> None:
    for stage in STAGES:
        assert len(set(tables.fields(stage))) == len(tables.fields(stage))
    assert {one.item for one in STATISTICS} == {item for stage in STAGES for item in stage.items}
