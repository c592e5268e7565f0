"""Every single check of every hidden test alone: one output spoilt, all others right, and it has to notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assignment.registry import load_spec
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer, draw
from autograder.slots.misconceptions import load, local

SEED = 11
Spoiler = Callable[[np.ndarray], np.ndarray]


def shifted(x: np.ndarray) -> np.ndarray:
    """Moved by one position along the last axis."""
    return np.roll(x, 1, axis=-1) if x.ndim else x


def permuted(x: np.ndarray) -> np.ndarray:
    """The rows, or of a list the entries, the other way round."""
    return x[::-1].copy() if x.ndim else x


SPOILERS: dict[str, Spoiler] = {
    "0.5×": lambda x: 0.5 * x, "2×": lambda x: 2 * x, "negated": lambda x: -x,
    "shifted": shifted, "permuted": permuted,
}  # fmt: skip


@dataclass(frozen=True)
class Alone:
    """One slot: reference and blank as they must be; outputs: what was spoilt, nothing if the answer is text; per
    form how many of them it changes, and those whose change got through."""

    slot: str
    reference: bool
    blank: bool
    outputs: tuple[str, ...]
    tried: dict[str, int]
    through: dict[str, list[str]]

    @property
    def right(self) -> bool:
        """Whether the reference passes and everything else is noticed; of numbers something has to be tried."""
        tried = not self.outputs or any(self.tried.values())
        return self.reference and self.blank and tried and not any(self.through.values())


def alone(slot: str) -> Alone:
    """All forms on all outputs of one slot that a check compares."""
    test, name, library = HIDDEN_TESTS[slot], load_spec().slot(slot).name, load()
    sources = [*_others(library, slot), library.bases[slot]]
    cases = draw(slot, SEED)
    answers = local.answers(slot, name, sources, cases, SEED)

    def fails(changed: list[CaseAnswer]) -> bool:
        return any(residual.fault for residual in test.compare(cases, changed))

    tried, through = dict.fromkeys(SPOILERS, 0), {form: list[str]() for form in SPOILERS}
    outputs = compared(test, cases, answers)
    for output in outputs:
        for form, spoil in SPOILERS.items():
            changed, scope = _spoilt(answers, output, spoil)
            if scope:
                tried[form] += 1
                if not fails(changed):
                    through[form].append(output)
    blank = fails([CaseAnswer() for _ in cases])
    return Alone(slot, not fails(answers), blank, tuple(outputs), tried, through)


def compared(test: Any, cases: list[Any], answers: list[CaseAnswer]) -> list[str]:
    """Names of the numeric outputs, arrays or lists of numbers, that some check is called after."""
    names = {
        check.name for case, answer in zip(cases, answers) if answer.error is None and not test.raises(case)
        for check in test.checks(case, answer)
    }  # fmt: skip
    outputs = {name for answer in answers for name in (*answer.tensors, *answer.values)}
    return sorted(name for name in outputs & names if any(_numbers(answer, name) is not None for answer in answers))


def _numbers(answer: CaseAnswer, output: str) -> np.ndarray | None:
    """An output as an array; None if it is not there, a text, a truth value or ragged."""
    if output in answer.tensors:
        return answer.tensors[output]
    value = answer.values.get(output)
    flat = value if isinstance(value, list) else [value]
    right = bool(flat) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in flat)
    return np.asarray(value) if right else None


def _spoilt(answers: list[CaseAnswer], output: str, spoil: Spoiler) -> tuple[list[CaseAnswer], bool]:
    """The answers with one output spoilt in every case; whether that changed anything worth noticing."""
    changed, scope = [], False
    for answer in answers:
        old = _numbers(answer, output)
        if old is not None and old.size:
            new = np.asarray(spoil(old))
            size = float(np.abs(old).max())
            scope |= float(np.abs(new - old).max()) > 1e-2 * size > 0
            answer = _with(answer, output, new)
        changed.append(answer)
    return changed, scope


def _with(answer: CaseAnswer, output: str, new: np.ndarray) -> CaseAnswer:
    """The answer with another array, or list of numbers, under that name."""
    if output in answer.tensors:
        return replace(answer, tensors={**answer.tensors, output: new})
    return replace(answer, values={**answer.values, output: new.tolist()})


def _others(library: Any, slot: str) -> list[str]:
    from autograder.slots.misconceptions import PRELUDE

    return [PRELUDE, *(base for other, base in library.bases.items() if other != slot)]
