"""Hidden tests by slot: inputs drawn per run, an independent oracle, tolerances, words for students."""

from __future__ import annotations

import numpy as np

from autograder.slots.hidden_tests import (
    data,
    evaluation,
    ppo,
    ppo_loss,
    ppo_training,
    reward_forward,
    reward_model,
    sft,
)
from autograder.slots.hidden_tests.base import Case, CaseAnswer, Check, HiddenTest, Residual

HIDDEN_TESTS: dict[str, HiddenTest] = {
    test.slot: test
    for test in sorted(
        (
            *data.TESTS,
            *sft.TESTS,
            *reward_forward.TESTS,
            *reward_model.TESTS,
            *ppo.TESTS,
            *ppo_loss.TESTS,
            *ppo_training.TESTS,
            *evaluation.TESTS,
        ),
        key=lambda test: test.slot,
    )
}


def draw(slot: str, seed: int) -> list[Case]:
    """The cases of a slot for a grading seed: the same seed gives the same cases."""
    return HIDDEN_TESTS[slot].draw(generator(slot, seed))


def generator(slot: str, seed: int) -> np.random.Generator:
    """Random numbers of one slot in one grading run, independent of every other slot's."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(int(slot[1:]),)))


__all__ = ["HIDDEN_TESTS", "Case", "CaseAnswer", "Check", "HiddenTest", "Residual", "draw", "generator"]
