"""The frame of a hidden test: cases are drawn, answered elsewhere, and compared here.

Finite first, then `err <= tol`, with the tolerance scaled to the answer. Nothing in here runs
student code: it compares arrays and JSON that came back from the worker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autograder.slots.oracles.losses import Floats

Kind = Literal["value", "gradient", "fact"]
Fault = Literal["", "missing", "shape", "not finite", "differs"]

# What checks may raise on an answer that makes no sense, or is built to raise: it is wrong, and no failure of ours.
SENSELESS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError)
RTOL = 2e-5  # of the largest entry: float32 answers to O(1) inputs agree to 1e-6, real mistakes differ by > 1e-3


@dataclass(frozen=True)
class Case:
    """One call of a slot. about: where it happens, in words a student may read ("a batch with padding").
    args: JSON for the driver; tensors: its arrays; key: what only the grader needs."""

    about: str
    args: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray] = field(default_factory=dict)
    key: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseAnswer:
    """What came back for one case; `error` is {"type", "text", "trace"} if it raised."""

    values: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray] = field(default_factory=dict)
    error: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Check:
    """One thing that has to hold. `got` is None where the answer has nothing to compare."""

    name: str
    kind: Kind
    got: Any
    expected: Any
    tolerance: float = 0.0


@dataclass(frozen=True)
class Residual:
    """A check with its outcome: fault is "" if it holds. error and tolerance are absolute."""

    case: int
    name: str
    kind: Kind
    fault: Fault
    error: float = 0.0
    tolerance: float = 0.0


def numbers(
    answer: CaseAnswer,
    name: str,
    expected: Any,
    *,
    kind: Kind = "value",
    rtol: float = RTOL,
    floor: float = 1e-9,
) -> Check:
    """A check of the answer's array `name`; tolerance rtol · max |expected|, at least `floor` for zeros."""
    want = np.asarray(expected, dtype=np.float64)
    scale = float(np.abs(want).max()) if want.size else 0.0
    return Check(name, kind, answer.tensors.get(name), want, max(rtol * scale, floor))


def same(answer: CaseAnswer, name: str, expected: Any, *, kind: Kind = "value") -> Check:
    """A check that the answer's JSON value `name` equals `expected`."""
    return Check(name, kind, answer.values.get(name), expected)


def fact(name: str, holds: bool) -> Check:
    """A check that was decided by the test itself."""
    return Check(name, "fact", bool(holds), True)


def resolve(check: Check, case: int) -> Residual:
    """Compare: present, of the right shape, finite, within the tolerance, in this order."""

    def outcome(fault: Fault, error: float = 0.0) -> Residual:
        return Residual(case, check.name, check.kind, fault, error, check.tolerance)

    if check.got is None:
        return outcome("missing")
    if not isinstance(check.expected, np.ndarray):
        return outcome("" if check.got == check.expected else "differs")
    got = np.asarray(check.got, dtype=np.float64)
    if got.shape != check.expected.shape:
        return outcome("shape")
    if not np.isfinite(got).all():
        return outcome("not finite")
    error = float(np.abs(got - check.expected).max()) if got.size else 0.0
    return outcome("" if error <= check.tolerance else "differs", error)


Oracle = Callable[..., Any] | None


class HiddenTest(ABC):
    """One slot's test. A subclass draws cases and states, per case and answer, what has to hold."""

    slot: str  # this and `oracle` are set by `hidden_test`
    oracle: Oracle
    asks: str  # what was asked, one sentence
    tips: Mapping[str, str] = {}  # by name of a failed check: what to look at; "" is for all others
    loop = False  # runs a training loop: other limits, judged after the slots it calls
    drawn: frozenset[str] = frozenset()  # checks that are decided by what the answer drew at random
    minor: frozenset[str] = frozenset()  # checks of what is only reported: no help in naming a mistake

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Fresh cases, the plainest first."""

    @abstractmethod
    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """What has to hold. ValueError, IndexError, KeyError or TypeError: the answer makes no sense."""

    def repeats(self, case: Case) -> bool:
        """Whether another program with the same mistake gives the same answer to this case."""
        return True

    def script(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> AbstractContextManager[None]:
        """A context in which the kit's sampler repeats what these answers drew."""
        return nullcontext()

    def raises(self, case: Case) -> str | None:
        """The built-in exception this case must end in, if any."""
        return None

    def compare(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> list[Residual]:
        """All residuals of all cases; a case that raised has one, named "error"."""
        out = []
        for i, (case, answer) in enumerate(zip(cases, answers, strict=True)):
            out += self._compare(i, case, answer)
        return out

    def _compare(self, i: int, case: Case, answer: CaseAnswer) -> list[Residual]:
        wanted = self.raises(case)
        if wanted:
            right = answer.error is not None and answer.error.get("type") == wanted
            return [Residual(i, "refusal", "value", "" if right else "differs")]
        if answer.error is not None:
            return [Residual(i, "error", "value", "missing")]
        try:
            with np.errstate(all="ignore"):
                return [resolve(check, i) for check in self.checks(case, answer)]
        except SENSELESS:
            return [Residual(i, "answer", "value", "differs")]


REGISTERED: dict[str, HiddenTest] = {}  # by slot; complete once all modules of this package are imported
Test = TypeVar("Test", bound=type[HiddenTest])


def hidden_test(slot: str, oracle: Oracle) -> Callable[[Test], Test]:
    """Register a class as the hidden test of a slot. oracle: the function of autograder/slots/oracles that its
    expected answers come from; None where the cases are made from their answers, so that nothing is worked out."""

    def register(test: Test) -> Test:
        if slot in REGISTERED and type(REGISTERED[slot]).__qualname__ != test.__qualname__:
            raise ValueError(f"two hidden tests of {slot}: {type(REGISTERED[slot]).__name__} and {test.__name__}")
        test.slot, test.oracle = slot, staticmethod(oracle) if oracle else None
        REGISTERED[slot] = test()
        return test

    return register


def lengths_to_mask(starts: ArrayLike, lengths: ArrayLike, width: int) -> Floats:
    """A response mask: 1 on `lengths[i]` columns from `starts[i]`, (B, width), float32 values."""
    columns = np.arange(width)[None, :]
    begin, length = np.asarray(starts)[:, None], np.asarray(lengths)[:, None]
    return ((columns >= begin) & (columns < begin + length)).astype(np.float32)


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
    """Standard normal float32 numbers times `scale`: what the worker gets is what the oracle uses."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def exact(array: NDArray) -> Floats:
    """The same numbers in float64."""
    return np.asarray(array, dtype=np.float64)
