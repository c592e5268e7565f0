"""Right answers pass the hidden tests on every seed, far within the tolerances; requests hold no expected values."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autograder.slots.exchange import slot_request
from autograder.slots.hidden_tests import HIDDEN_TESTS, draw
from autograder.slots.hidden_tests.base import float64
from autograder.slots.hidden_tests.loops import START
from tests.support.slot_runs import SLOTS, SPEC, reference_sources, run, run_base


@pytest.mark.parametrize("seed", [0, 1, 2**31 + 7])
@pytest.mark.parametrize("slot", SLOTS)
def test_the_reference_passes_with_a_tenth_of_the_tolerance(slot, seed):
    checked = run(slot, reference_sources(), seed)
    assert checked.failed == []
    assert max((r.error / r.tolerance for r in checked.residuals if r.tolerance), default=0) < 0.1


@pytest.mark.parametrize("slot", SLOTS)
def test_another_right_answer_passes_too(slot):
    assert run_base(slot, 5).failed == []


@pytest.mark.parametrize("slot", SLOTS)
def test_a_seed_gives_the_same_cases_and_another_seed_others(slot):
    def text(seed: int) -> str:
        payload, tensors = slot_request(slot, SPEC.slot(slot).name, draw(slot, seed), 0)
        return json.dumps(payload) + str({name: x.tolist() for name, x in tensors.items()})

    assert text(4) == text(4)
    assert text(4) != text(5)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_request_is_plain_json_and_arrays_without_what_only_the_grader_knows(slot):
    cases = draw(slot, 0)
    payload, tensors = slot_request(slot, SPEC.slot(slot).name, cases, 0)
    assert set(payload) == {"slot", "name", "seed", "cases"}
    assert json.loads(json.dumps(payload, allow_nan=False)) == json.loads(json.dumps(payload))
    assert payload["cases"] == [dict(case.args) for case in cases]
    assert {x.dtype.name for x in tensors.values()} <= {"float32", "int64"}


def test_every_slot_of_the_registry_has_a_hidden_test():
    assert [slot.id for slot in SPEC.slots] == list(SLOTS)


@pytest.mark.parametrize("seed", range(5))
def test_the_ppo_loss_is_tested_on_both_sides_of_the_clip_with_both_signs(seed):
    for case in draw("T13", seed)[:2]:
        x, on = case.tensors, case.tensors["mask"] > 0
        ratio, limit = np.exp(x["logprobs"] - x["old_logprobs"]), case.args["config"]["clip_range"]
        for sign in (1, -1):
            assert (on & (ratio > 1 + limit) & (sign * x["advantages"] > 0)).any()
            assert (on & (ratio < 1 - limit) & (sign * x["advantages"] > 0)).any()


@pytest.mark.parametrize("slot", ["T11", "T12", "T13"])
def test_masks_have_runs_of_different_length_at_different_offsets(slot):
    mask = draw(slot, 3)[0].tensors["mask"]
    starts = {int(np.flatnonzero(row)[0]) for row in mask}
    assert len(starts) > 1
    assert len(set(mask.sum(axis=1))) > 1
    assert (mask[:, -1] == 0).any()
    assert (mask[:, -1] == 1).any()


@pytest.mark.parametrize("slot", ["T05", "T09"])
def test_some_updates_are_clipped_and_others_are_not(slot):
    for case in (case for seed in range(20) for case in draw(slot, seed)):
        config = case.grader_only["config"]
        order = list(range(case.args["batches"])) * config.epochs
        start = {name.removeprefix(START): float64(x) for name, x in case.tensors.items() if name.startswith(START)}
        batches = case.grader_only["batches"]
        norms = type(HIDDEN_TESTS[slot]).oracle(start, batches, order, config).norms
        assert min(norms) < config.max_grad_norm < max(norms)


def test_tolerances_grow_with_the_answer():
    residuals = run_base("T10", 0).residuals
    plain, huge = (next(r for r in residuals if r.case == case and r.name == "logprobs") for case in (0, 4))
    assert huge.tolerance > 50 * plain.tolerance
