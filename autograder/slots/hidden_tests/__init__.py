"""The hidden tests: for each slot, inputs drawn for the run, an independent oracle, tolerances, messages for students.

All modules of this package are imported here, so that a class decorated with `@hidden_test("T07", …)` is found in any.
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
    """Draw the cases of a slot. The same grading seed gives the same cases."""
    return HIDDEN_TESTS[slot].draw(generator(slot, seed))


def generator(slot: str, seed: int) -> np.random.Generator:
    """The random generator of one slot in one grading run. It is independent of those of other slots."""
    letter, number = ord(slot[0]) - ord("T"), int(slot[1:])
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(letter % 26 * 100 + number,)))


__all__ = ["HIDDEN_TESTS", "Case", "CaseAnswer", "Check", "HiddenTest", "Residual", "draw", "generator"]
