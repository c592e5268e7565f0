"""Base class of hidden tests: generate cases, send them to the sandbox, compare the answers.

Numbers are first checked to be finite, then `error <= tolerance`, with a tolerance that scales with the answer. Nothing
here runs student code: arrays and JSON from the worker are compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from autograder.slots.oracles.losses import Floats

Kind = Literal["value", "gradient", "fact"]
Fault = Literal["", "missing", "shape", "not finite", "differs"]

# What checks may raise on a malformed answer, also on one that was built to raise. Such an answer is wrong; it is no
# error of the grader.
MALFORMED_ANSWER = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError)
RTOL = 2e-5  # of the largest entry: float32 answers to O(1) inputs agree to 1e-6, real mistakes differ by > 1e-3


@dataclass(frozen=True)
class Case:
    """One call of a slot.

    about: the situation, in words that a student may read ("a batch with padding"). args: JSON for the driver.
    tensors: arrays for the driver. grader_only: what the comparison needs and the worker never gets.
    """

    about: str
    args: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    grader_only: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseAnswer:
    """The answer to one case. error: {"type", "text", "trace"} if the slot raised an exception."""

    values: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    error: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Check:
    """One condition on an answer. got: None if the answer lacks this value. tolerance: absolute."""

    name: str
    kind: Kind
    got: Any
    expected: Any
    tolerance: float = 0.0


@dataclass(frozen=True)
class Residual:
    """The outcome of a check. fault: "" if the check holds. error, tolerance: absolute."""

    case: int
    name: str
    kind: Kind
    fault: Fault
    error: float = 0.0
    tolerance: float = 0.0


def check_numbers(
    answer: CaseAnswer, name: str, expected: Any, *, kind: Kind = "value", rtol: float = RTOL, floor: float = 1e-9
) -> Check:
    """Check the answer's array `name`. The tolerance is rtol · max |expected|, and at least `floor`, for zeros."""
    want = np.asarray(expected, dtype=np.float64)
    scale = float(np.abs(want).max()) if want.size else 0.0
    return Check(name, kind, answer.tensors.get(name), want, max(rtol * scale, floor))


def check_same(answer: CaseAnswer, name: str, expected: Any, *, kind: Kind = "value") -> Check:
    """Check that the answer's JSON value `name` equals `expected`."""
    return Check(name, kind, answer.values.get(name), expected)


def check_fact(name: str, holds: bool) -> Check:
    """A check that the test itself has decided."""
    return Check(name, "fact", bool(holds), True)


def residual_of(check: Check, case: int) -> Residual:
    """Compare in this order: the value is present, has the right shape, is finite, is within the tolerance."""

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
    """The test of one slot. A subclass draws cases and states the checks of each case and its answer."""

    slot: str  # this and `oracle` are set by `hidden_test`
    oracle: Oracle
    task: str  # what the slot has to do, in one sentence
    tips: ClassVar[Mapping[str, str]] = {}  # what to look at, by name of a failed check; "" is for all others
    loop = False  # the slot is a training loop: it has other limits, and is tested after the slots that it calls
    random_checks: frozenset[str] = frozenset()  # checks whose outcome depends on what the answer sampled
    reported_only: frozenset[str] = frozenset()  # checks of statistics that a slot only reports: they name no mistake

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw new cases, the plainest first."""

    @abstractmethod
    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """The checks of one answer. An exception of MALFORMED_ANSWER means that the answer is wrong."""

    def is_deterministic(self, _case: Case, /) -> bool:
        """Whether another program with the same mistake gives the same answer to this case."""
        return True

    def same_samples(self, _cases: Sequence[Case], _answers: Sequence[CaseAnswer], /) -> AbstractContextManager[None]:
        """A context in which the kit's sampler returns the replies of these answers again."""
        return nullcontext()

    def expected_error(self, _case: Case, /) -> str | None:
        """The built-in exception that this case must raise, if any."""
        return None

    def compare(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> list[Residual]:
        """The residuals of all cases. A case that raised has one residual, named "error"."""
        out = []
        for i, (case, answer) in enumerate(zip(cases, answers, strict=True)):
            out += self._compare(i, case, answer)
        return out

    def _compare(self, i: int, case: Case, answer: CaseAnswer) -> list[Residual]:
        wanted = self.expected_error(case)
        if wanted:
            right = answer.error is not None and answer.error.get("type") == wanted
            return [Residual(i, "refusal", "value", "" if right else "differs")]
        if answer.error is not None:
            return [Residual(i, "error", "value", "missing")]
        try:
            with np.errstate(all="ignore"):
                return [residual_of(check, i) for check in self.checks(case, answer)]
        except MALFORMED_ANSWER:
            return [Residual(i, "answer", "value", "differs")]


REGISTERED: dict[str, HiddenTest] = {}  # by slot; complete once all modules of this package are imported
Test = TypeVar("Test", bound=type[HiddenTest])


def hidden_test(slot: str, oracle: Oracle) -> Callable[[Test], Test]:
    """Register the decorated class as the hidden test of a slot.

    oracle: the function of autograder/slots/oracles that computes the expected answers; None if the cases are built
    from their answers. Raises ValueError for a second test of the slot.
    """

    def register(test: Test) -> Test:
        if slot in REGISTERED and type(REGISTERED[slot]).__qualname__ != test.__qualname__:
            raise ValueError(f"two hidden tests of {slot}: {type(REGISTERED[slot]).__name__} and {test.__name__}")
        test.slot, test.oracle = slot, staticmethod(oracle) if oracle else None
        REGISTERED[slot] = test()
        return test

    return register


def lengths_to_mask(starts: ArrayLike, lengths: ArrayLike, width: int) -> NDArray[np.float32]:
    """A response mask (B, width): 1 on `lengths[i]` columns from column `starts[i]`, 0 elsewhere."""
    columns = np.arange(width)[None, :]
    begin, length = np.asarray(starts)[:, None], np.asarray(lengths)[:, None]
    inside: NDArray[np.float32] = ((columns >= begin) & (columns < begin + length)).astype(np.float32)
    return inside


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
    """Standard normal numbers times `scale`, in float32, so that worker and oracle get the same numbers."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def float64(array: NDArray[Any]) -> Floats:
    """The same numbers in float64."""
    return np.asarray(array, dtype=np.float64)
