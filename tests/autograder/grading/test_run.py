"""Grading from file to reports, with small replacements for the sandbox and the lab."""

from __future__ import annotations

import io
import json

import pytest
import torch
from rich.console import Console

from assignment.registry import load_spec
from assignment.release.release import build
from autograder import sandbox
from autograder.core.options import OptionError, Options
from autograder.core.progress import GradingProgress
from autograder.grading.run import grade, grade_submission
from autograder.reference.models import ArtefactError
from autograder.report import RECORD
from autograder.submission.intake import IntakeError
from autograder.training import data, prepare
from tests.kills.short import ROWS
from tests.support.small_lab import LocalSession, small_lab

SLOTS = [slot.id for slot in load_spec().slots]
TRAINING = ["sft_loss_trend", "rm_accuracy", "ppo_reward", "ppo_kl", "comparison"]


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    folder, release = tmp_path_factory.mktemp("notebooks"), build()
    (folder / "solved.ipynb").write_bytes(release.solved)
    (folder / "blank.ipynb").write_bytes(release.generated["rlhf.ipynb"])
    (folder / "odd.ipynb").write_text("{")
    return folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return small_lab(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture
def local(monkeypatch, lab):
    """Sessions in this process and a lab of one layer; the list of sessions that were opened."""
    opened: list[LocalSession] = []

    def open_local(**_):
        opened.append(LocalSession())
        return opened[-1]

    for name, rows in ROWS.items():
        monkeypatch.setattr(data, name, rows)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # tests share their cores
    monkeypatch.setattr(sandbox, "WorkerSession", open_local)
    monkeypatch.setattr(prepare, "load_lab", lambda *_: lab)
    return opened


def statuses(graded):
    return {item.result.id: item.result.status for criterion in graded.criteria for item in criterion.items}


def test_the_solved_notebook_is_graded_completely_and_reported(local, notebooks, tmp_path):
    result = grade_submission(
        notebooks / "solved.ipynb", tmp_path / "out", Options(seed=5), GradingProgress(quiet=True)
    )
    found = statuses(result.graded)
    assert [found[slot] for slot in SLOTS] == ["passed"] * len(SLOTS)
    assert set(TRAINING) <= set(found)
    assert "not_gradable" not in found.values()
    assert found["written_comparison"] == "needs_review"
    assert result.graded.pending == 5.0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*result.reports, RECORD}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["score"], report["grader"]["seed"]) == (result.graded.score, 5)
    assert len(local) == 1


@pytest.mark.usefixtures("local")
def test_two_runs_with_one_seed_differ_only_in_their_duration(notebooks, tmp_path):
    only = ("T04", "T12", "sft_loss_trend", "ppo_reward")
    reports = []
    for name in ("first", "second"):
        grade(notebooks / "solved.ipynb", tmp_path / name, Options(seed=9, only=only))
        reports.append(json.loads((tmp_path / name / "report.json").read_text()))
        reports[-1].pop("duration_s")
    assert reports[0] == reports[1]


def test_only_the_items_asked_for_are_graded(local, notebooks):
    graded = grade(notebooks / "solved.ipynb", options=Options(seed=1, only=("T07", "T08")))
    assert statuses(graded) == {"T07": "passed", "T08": "passed"}
    assert local[0].calls == ["call_slot"] * 2
    assert graded.passed is None


def test_a_blank_notebook_scores_nothing_and_needs_no_sandbox(notebooks, monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "WorkerSession", lambda **_: pytest.fail("a sandbox was started"))
    graded = grade(notebooks / "blank.ipynb", tmp_path)
    found = statuses(graded)
    assert (graded.score, graded.pending, graded.passed) == (0.0, 0.0, False)
    assert set(found.values()) == {"not_attempted"}
    assert [criterion.met for criterion in graded.success_criteria] == [False] * 4


def test_without_a_sandbox_nothing_is_lost_and_nothing_is_run(notebooks, monkeypatch):
    def refuse(**_):
        raise sandbox.SandboxError("none here")

    monkeypatch.setattr(sandbox, "WorkerSession", refuse)
    result = grade_submission(notebooks / "solved.ipynb", None, Options(seed=1), GradingProgress(quiet=True))
    found = statuses(result.graded)
    assert {found[item] for item in (*SLOTS, *TRAINING)} == {"not_gradable"}
    assert result.graded.passed is None
    assert result.graded.pending >= 85
    assert set(result.failed_here) >= {*SLOTS, *TRAINING}
    assert "none here" in result.run.sandbox_tier


@pytest.mark.usefixtures("local")
def test_missing_artefacts_leave_the_training_items_open_and_the_slots_graded(notebooks, monkeypatch):
    def missing(*_):
        raise ArtefactError("no weights")

    monkeypatch.setattr(prepare, "load_lab", missing)
    graded = grade(notebooks / "solved.ipynb", options=Options(seed=1, only=("T04", "sft_loss_trend")))
    assert statuses(graded) == {"T04": "passed", "sft_loss_trend": "not_gradable"}
    assert [criterion.met for criterion in graded.success_criteria] == [None] * 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(profile="gpt2"), "tiny only"),
        (Options(only=("T99",)), "No item called T99"),
        (Options(device="tpu"), "choose auto, cpu or cuda"),
        (Options(seed=-1), "seed is a number"),
    ],
)
def test_options_that_cannot_be_met_say_what_to_choose(notebooks, options, words):
    with pytest.raises(OptionError, match=words):
        grade(notebooks / "blank.ipynb", options=options)


def test_a_file_that_is_no_notebook_is_refused_before_anything_starts(notebooks):
    with pytest.raises(IntakeError):
        grade(notebooks / "odd.ipynb")


def test_seeds_are_drawn_afresh_and_reported(notebooks):
    seeds = {
        grade_submission(notebooks / "blank.ipynb", None, Options(), GradingProgress(quiet=True)).run.seed
        for _ in range(2)
    }
    assert len(seeds) == 2


FORGED = [{}, {"step": "x"}, {"step": -1}, {"wall_s": "x", "step": None}, {"step": 10**30}]


@pytest.mark.parametrize("record", FORGED, ids=str)
@pytest.mark.usefixtures("local")
def test_no_forged_progress_record_stops_the_grader(notebooks, monkeypatch, record):
    class Forging(LocalSession):
        def call(self, op, payload, tensors, *, on_progress, **options):
            on_progress(record)
            on_progress({"step": 3, "loss": 1.0, "wall_s": 2.5})
            return super().call(op, payload, tensors, on_progress=on_progress, **options)  # which takes 1.0 s

    monkeypatch.setattr(sandbox, "WorkerSession", lambda **_: Forging())
    log, only = io.StringIO(), Options(seed=1, only=("sft_loss_trend",))
    result = grade_submission(notebooks / "solved.ipynb", None, only, GradingProgress(Console(file=log, width=120)))
    assert "not_gradable" not in statuses(result.graded).values()
    assert result.failed_here == ()
    assert "3.5 s in the sandbox" in log.getvalue()
