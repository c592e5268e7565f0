"""Spoil one output of a right answer at a time: each hidden test has to notice it although all others are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assignment.registry import load_spec
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer, draw
from autograder.slots.misconceptions import in_process, load_library

SEED = 11
Spoiler = Callable[[np.ndarray], np.ndarray]


def shifted(x: np.ndarray) -> np.ndarray:
    """Move by one position along the last axis."""
    return np.roll(x, 1, axis=-1) if x.ndim else x


def permuted(x: np.ndarray) -> np.ndarray:
    """Reverse the order of the rows, or of the entries of a list."""
    return x[::-1].copy() if x.ndim else x


SPOILERS: dict[str, Spoiler] = {
    "0.5×": lambda x: 0.5 * x, "2×": lambda x: 2 * x, "negated": lambda x: -x,
    "shifted": shifted, "permuted": permuted,
}  # fmt: skip


@dataclass(frozen=True)
class SpoiltOutputs:
    """The result for one slot.

    reference: whether the right answer passes. blank: whether an empty answer is rejected. outputs: the numeric
    outputs, empty if the answer is text. tried, unnoticed: by form of spoiling, the number of outputs that it changes,
    and the outputs whose change no check noticed.
    """

    slot: str
    reference: bool
    blank: bool
    outputs: tuple[str, ...]
    tried: dict[str, int]
    unnoticed: dict[str, list[str]]

    @property
    def right(self) -> bool:
        """Whether the reference passes, everything else is noticed, and numeric outputs were tried at all."""
        tried = not self.outputs or any(self.tried.values())
        return self.reference and self.blank and tried and not any(self.unnoticed.values())


def spoil_outputs(slot: str) -> SpoiltOutputs:
    """Try all forms of spoiling on all numeric outputs of one slot that a check compares."""
    test, name, library = HIDDEN_TESTS[slot], load_spec().slot(slot).name, load_library()
    sources = [*_others(library, slot), library.bases[slot]]
    cases = draw(slot, SEED)
    answers = in_process.run_sources(slot, name, sources, cases, SEED)

    def fails(changed: list[CaseAnswer]) -> bool:
        return any(residual.fault for residual in test.compare(cases, changed))

    tried, unnoticed = dict.fromkeys(SPOILERS, 0), {form: list[str]() for form in SPOILERS}
    outputs = compared(test, cases, answers)
    for output in outputs:
        for form, spoil in SPOILERS.items():
            changed, scope = _spoilt(answers, output, spoil)
            if scope:
                tried[form] += 1
                if not fails(changed):
                    unnoticed[form].append(output)
    blank = fails([CaseAnswer() for _ in cases])
    return SpoiltOutputs(slot, not fails(answers), blank, tuple(outputs), tried, unnoticed)


def compared(test: Any, cases: list[Any], answers: list[CaseAnswer]) -> list[str]:
    """The names of the numeric outputs (arrays or lists of numbers) for which there is a check of that name."""
    names = {
        check.name
        for case, answer in zip(cases, answers, strict=True)
        if answer.error is None and not test.expected_error(case)
        for check in test.checks(case, answer)
    }
    outputs = {name for answer in answers for name in (*answer.tensors, *answer.values)}
    return sorted(name for name in outputs & names if any(_numbers(answer, name) is not None for answer in answers))


def _numbers(answer: CaseAnswer, output: str) -> np.ndarray | None:
    """An output as an array; None if it is missing, a text, a truth value or ragged."""
    if output in answer.tensors:
        return answer.tensors[output]
    value = answer.values.get(output)
    flat = value if isinstance(value, list) else [value]
    right = bool(flat) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in flat)
    return np.asarray(value) if right else None


def _spoilt(answers: list[CaseAnswer], output: str, spoil: Spoiler) -> tuple[list[CaseAnswer], bool]:
    """The answers with one output spoilt in every case, and whether that changed it enough to be noticed."""
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
    """The answer with another array or list of numbers for this output."""
    if output in answer.tensors:
        return replace(answer, tensors={**answer.tensors, output: new})
    return replace(answer, values={**answer.values, output: new.tolist()})


def _others(library: Any, slot: str) -> list[str]:
    from autograder.slots.misconceptions import PRELUDE

    return [PRELUDE, *(base for other, base in library.bases.items() if other != slot)]
