"""Every single check of every hidden test alone: one output spoilt, all others right, and it has to notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assignment.spec import load_spec
from autograder.hidden_tests import HIDDEN_TESTS, CaseAnswer, draw
from autograder.misconceptions import load, local

SEED = 11
Spoiler = Callable[[np.ndarray], np.ndarray]


def shifted(x: np.ndarray) -> np.ndarray:
    """Moved by one position along the last axis."""
    return np.roll(x, 1, axis=-1) if x.ndim else x


def permuted(x: np.ndarray) -> np.ndarray:
    """The rows the other way round."""
    return x[::-1].copy() if x.ndim > 1 else x


SPOILERS: dict[str, Spoiler] = {
    "0.5×": lambda x: 0.5 * x, "2×": lambda x: 2 * x, "negated": lambda x: -x,
    "shifted": shifted, "permuted": permuted,
}  # fmt: skip


@dataclass(frozen=True)
class Alone:
    """One slot: reference and blank as they must be; per form the outputs tried, and those that got through."""

    slot: str
    reference: bool
    blank: bool
    tried: dict[str, int]
    through: dict[str, list[str]]

    @property
    def right(self) -> bool:
        """Whether the reference passes and everything else is noticed."""
        return self.reference and self.blank and not any(self.through.values())


def alone(slot: str) -> Alone:
    """All forms on all outputs of one slot that a check compares."""
    test, name, library = HIDDEN_TESTS[slot], load_spec().slot(slot).name, load()
    sources = [*_others(library, slot), library.bases[slot]]
    cases = draw(slot, SEED)
    answers = local.answers(slot, name, sources, cases, SEED)

    def fails(changed: list[CaseAnswer]) -> bool:
        return any(residual.fault for residual in test.compare(cases, changed))

    tried, through = dict.fromkeys(SPOILERS, 0), {form: list[str]() for form in SPOILERS}
    for output in compared(test, cases, answers):
        for form, spoil in SPOILERS.items():
            changed, scope = _spoilt(answers, output, spoil)
            if scope:
                tried[form] += 1
                if not fails(changed):
                    through[form].append(output)
    blank = fails([CaseAnswer() for _ in cases])
    return Alone(slot, not fails(answers), blank, tried, through)


def compared(test: Any, cases: list[Any], answers: list[CaseAnswer]) -> list[str]:
    """Names of the arrays that some check compares with numbers."""
    names = {
        check.name for case, answer in zip(cases, answers) if answer.error is None and not test.raises(case)
        for check in test.checks(case, answer) if isinstance(check.expected, np.ndarray)
    }  # fmt: skip
    return sorted({name for answer in answers for name in answer.tensors} & names)


def _spoilt(answers: list[CaseAnswer], output: str, spoil: Spoiler) -> tuple[list[CaseAnswer], bool]:
    """The answers with one output spoilt in every case; whether that changed anything worth noticing."""
    changed, scope = [], False
    for answer in answers:
        tensors = dict(answer.tensors)
        if output in tensors:
            new = np.asarray(spoil(tensors[output]))
            size = float(np.abs(tensors[output]).max()) if new.size else 0.0
            scope |= new.size > 0 and float(np.abs(new - tensors[output]).max()) > 1e-2 * size > 0
            tensors[output] = new
        changed.append(replace(answer, tensors=tensors))
    return changed, scope


def _others(library: Any, slot: str) -> list[str]:
    from autograder.misconceptions import PRELUDE

    return [PRELUDE, *(base for other, base in library.bases.items() if other != slot)]
