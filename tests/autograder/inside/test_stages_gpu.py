"""Stages run on a GPU in the sandbox (`make gpu-check`)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from autograder.sandbox import WorkerSession
from autograder.training import data, run
from autograder.training.outcome import Failure
from tests.support.small_lab import all_passed, reference_answers, small_lab

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return replace(small_lab(tmp_path_factory.mktemp("artefacts")), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("stage", run.STAGES, ids=lambda stage: stage.op)
def test_a_stage_trains_on_the_gpu_and_is_measured_here(lab, stage, monkeypatch):
    for name, rows in (("DEMONSTRATIONS", 64), ("PREFERENCES", 40), ("TRAIN_PROMPTS", 20)):
        monkeypatch.setattr(data, name, rows)
    code = run.code_for(stage, lab.spec, reference_answers(), all_passed())
    with WorkerSession(device="cuda", seed=1) as session:
        found = run.run_stage(session, run.StageRun(lab, stage, code, 1))
    assert not isinstance(found, Failure), found
    assert set(found) == set(stage.items)
