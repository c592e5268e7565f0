"""Hidden tests by slot: inputs drawn per run, an independent oracle, tolerances, words for students.

Every module of this package is imported here, so that a class under `@hidden_test("T07", …)` is found wherever it is.
"""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np

from autograder.slots.hidden_tests.base import REGISTERED, Case, CaseAnswer, Check, HiddenTest, Residual

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
HIDDEN_TESTS: dict[str, HiddenTest] = dict(sorted(REGISTERED.items()))


def draw(slot: str, seed: int) -> list[Case]:
    """The cases of a slot for a grading seed: the same seed gives the same cases."""
    return HIDDEN_TESTS[slot].draw(generator(slot, seed))


def generator(slot: str, seed: int) -> np.random.Generator:
    """Random numbers of one slot in one grading run, independent of every other slot's."""
    letter, number = ord(slot[0]) - ord("T"), int(slot[1:])
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(letter % 26 * 100 + number,)))


__all__ = ["HIDDEN_TESTS", "Case", "CaseAnswer", "Check", "HiddenTest", "Residual", "draw", "generator"]
