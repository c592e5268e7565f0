"""Slot tests in a real sandbox, from the source text of a submission to its results."""

from __future__ import annotations

import time

import pytest

from autograder.slots.misconceptions import load_library
from autograder.slots.runner import run_hidden_tests
from tests.support.slot_runs import SLOTS, SPEC, submission

pytestmark = pytest.mark.slow

MISTAKES = {m.id: m for mistakes in load_library().mistakes.values() for m in mistakes}
ENDINGS = {
    "T07": ("def bradley_terry_loss(a, b, margin=0.0):\n    raise NotImplementedError('T07')\n", "not_attempted"),
    "T08": ("def preference_accuracy(a, b):\n    import os\n    os._exit(0)\n", "crashed"),
    "T10": ("def token_logprobs(logits, tokens):\n    return torch.zeros(10**11)\n", "out_of_memory"),
    "T11": ("def shape_rewards(*args):\n    while True: pass\n", "timeout"),
}


@pytest.fixture(scope="module")
def session():
    sandbox = pytest.importorskip("autograder.sandbox")
    try:
        with sandbox.WorkerSession(seed=1) as found:
            found.prewarm()
            yield found
    except sandbox.SandboxError as error:
        pytest.skip(f"no sandbox on this machine: {error}")


def test_right_answers_pass_in_ten_seconds(session):
    began = time.monotonic()
    results = run_hidden_tests(session, submission(), SPEC, 4)
    assert {slot: r.status for slot, r in results.items()} == dict.fromkeys(SLOTS, "passed")
    assert sum(r.evidence["wall_s"] for r in results.values()) < 10
    assert time.monotonic() - began < 60  # on a machine that does other things as well


@pytest.mark.parametrize("id_", ["D14", "R14", "P16", "P14", "E11", "K17"])
def test_a_mistake_costs_its_slot_and_is_named(session, id_):
    mistake = MISTAKES[id_]
    results = run_hidden_tests(session, submission({mistake.slot: mistake.source}), SPEC, 5)
    assert [slot for slot, r in results.items() if r.status != "passed"] == [mistake.slot]
    assert results[mistake.slot].misconception["id"] == id_


@pytest.mark.timeout(300)
def test_endings_of_all_kinds_cost_their_own_slot_only(session):
    changes = {slot: source for slot, (source, _) in ENDINGS.items()}
    results = run_hidden_tests(session, submission(changes), SPEC, 6)
    expected = {slot: ENDINGS[slot][1] if slot in ENDINGS else "passed" for slot in SLOTS}
    assert {slot: r.status for slot, r in results.items()} == expected
