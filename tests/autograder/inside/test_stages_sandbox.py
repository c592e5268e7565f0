"""A stage in the real sandbox gives the same result as in this process."""

from __future__ import annotations

import pytest

from autograder.training import data, run
from autograder.training.comparison import ComparisonStage
from autograder.training.outcome import Failure
from autograder.training.sft import SFTStage
from tests.support.small_lab import LocalSession, all_passed, reference_answers, small_lab

SEED = 4


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return small_lab(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    monkeypatch.setattr(data, "DEMONSTRATIONS", 64)


@pytest.mark.parametrize("stage", [SFTStage(), ComparisonStage()], ids=lambda stage: stage.op)
def test_sandbox_gives_the_same_result_as_this_process(best, lab, stage):
    code = run.code_for(stage, lab.spec, reference_answers(), all_passed())
    inside = run.run_stage(best, run.StageRun(lab, stage, code, SEED))
    here = run.run_stage(LocalSession(), run.StageRun(lab, stage, code, SEED))
    assert not isinstance(inside, Failure), inside
    item = stage.items[0]
    assert inside[item].passed
    assert inside[item].value == here[item].value


def test_progress_arrives_while_a_stage_runs(best, lab):
    records = []
    code = run.code_for(SFTStage(), lab.spec, reference_answers(), all_passed())
    run.run_stage(best, run.StageRun(lab, SFTStage(), code, SEED, notify=records.append))
    assert records
    assert records[0]["step"] == 1


def test_a_loop_that_exits_the_process_is_a_crash_with_a_message(best, lab):
    source = "def train_sft(model, batches, config, on_step=None):\n    import os\n    os._exit(0)\n"
    code = run.code_for(SFTStage(), lab.spec, reference_answers(T05=source), all_passed())
    found = run.run_stage(best, run.StageRun(lab, SFTStage(), code, SEED))
    assert isinstance(found, Failure)
    assert (found.status, "train_sft (T05)" in found.message) == ("crashed", True)
