"""What the worker returns is checked before it is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autograder.sandbox.protocol import ProtocolError, TensorSpec
from autograder.training.outcome import UnusableError
from autograder.training.weights import announced_steps, read_snapshots, relative_change, snapshot_manifest

START = {"body": torch.zeros(2, 3), "head": torch.ones(4)}


def snapshots(*steps: int, **changes: float) -> tuple[dict, dict[str, np.ndarray]]:
    arrays = {f"s{s:06d}/{name}": x.numpy() + s for s in steps for name, x in START.items()}
    for name, value in changes.items():
        arrays[name.replace("__", "/")][...] = value
    return {"steps": list(steps)}, arrays


def test_manifest_names_every_weight_of_every_announced_snapshot():
    manifest = snapshot_manifest(START, 5)({"steps": [7, 12]})
    assert manifest == {
        f"s{step:06d}/{name}": TensorSpec("float32", shape)
        for step in (7, 12)
        for name, shape in (("body", (2, 3)), ("head", (4,)))
    }


@pytest.mark.parametrize("steps", [None, [], "12", [1, 2, 3, 4, 5, 6], [2, 1], [1, 1], [-1], [1.0], [True], [10**6]])
def test_malformed_step_list_is_an_invalid_answer(steps):
    with pytest.raises(ProtocolError):
        announced_steps({"steps": steps}, 5)


def test_start_is_the_first_snapshot_and_the_last_one_is_final():
    run = read_snapshots(START, *snapshots(3, 9))
    assert run.steps == (0, 3, 9)
    assert run.states[0] is START
    assert run.optimizer_steps == 9
    assert torch.equal(run.final["head"], torch.full((4,), 10.0))


def test_diverged_end_is_refused_with_a_message_that_says_so():
    with pytest.raises(UnusableError, match="NaN or infinity"):
        read_snapshots(START, *snapshots(3, 9, s000009__head=np.nan))


def test_diverged_snapshot_before_the_end_is_left_out():
    run = read_snapshots(START, *snapshots(3, 9, s000003__body=np.inf))
    assert run.steps == (0, 9)


def test_loop_without_optimiser_steps_has_start_and_end():
    run = read_snapshots(START, *snapshots(0))
    assert run.steps == (0, 0)
    assert relative_change(run.states[0], run.final) == 0.0


def test_relative_change_is_that_of_all_weights_together():
    end = {"body": torch.zeros(2, 3), "head": torch.full((4,), 1.5)}
    assert relative_change(START, end) == pytest.approx(0.5)
