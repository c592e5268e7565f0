"""Which known mistake explains a wrong answer: the one that gives the same numbers on the same inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograder.core.failures import guarded
from autograder.slots.hidden_tests.base import Case, CaseAnswer, HiddenTest, Residual
from autograder.slots.misconceptions import Mistake, load, local

CLOSE = (
    1e-3  # of the largest entry: float32 answers in other words agree to 1e-5, two mistakes differ by more
)

Faults = dict[tuple[int, str], str]


@guarded(lambda *_: [])  # it only explains: should it fail on an odd answer, the verdict stands without it
def name(
    test: HiddenTest,
    function: str,
    cases: Sequence[Case],
    answers: Sequence[CaseAnswer],
    residuals: Sequence[Residual],
    seed: int,
) -> list[Mistake]:
    """The mistakes that reproduce the answers; more than one if they explain them equally well.

    First all failed checks have to agree, then all but those of what is only reported; mistakes in what is
    drawn at random are told by the checks that fail.
    """
    mistakes = load().mistakes.get(test.slot, ())
    student = _faults(test, cases, residuals)
    probe = min((case for case, _ in student), key=lambda i: _cost(cases[i]), default=-1)
    others: list[tuple[Mistake, list[CaseAnswer], Faults]] = []
    for mistake in mistakes if probe >= 0 else ():
        if _refuted(
            mistake, test, function, cases[probe], answers[probe], _only(student, probe), seed + probe
        ):
            continue
        found = _answers(mistake, test, function, cases, answers, seed)
        if found is not None:
            others.append((mistake, found, _faults(test, cases, test.compare(cases, found))))
    for ignored in (frozenset(), test.minor) if test.minor else (frozenset(),):
        same = [
            m
            for m, found, faults in others
            if _without(student, ignored)
            and _agree(_without(student, ignored), _without(faults, ignored), answers, found)
        ]
        if same:
            return same
    failed = {r.name for r in residuals if r.fault}
    return [m for m in mistakes if m.signature and m.signature[0] in failed and failed <= set(m.signature)]


def _cost(case: Case) -> int:
    """Roughly how long a case takes to run."""
    return sum(x.size for x in case.tensors.values()) + 100 * len(case.args.get("prompts", ()))


def _refuted(
    mistake: Mistake,
    test: HiddenTest,
    function: str,
    case: Case,
    answer: CaseAnswer,
    student: Faults,
    seed: int,
) -> bool:
    """Whether one case, where the student is wrong, is enough to tell that it is not this mistake."""
    found = _answers(mistake, test, function, [case], [answer], seed)
    if found is None:
        return True
    faults = _faults(test, [case], test.compare([case], found))
    return not _agree(_without(student, test.minor), _without(faults, test.minor), [answer], found)


def _answers(
    mistake: Mistake,
    test: HiddenTest,
    function: str,
    cases: Sequence[Case],
    answers: Sequence[CaseAnswer],
    seed: int,
) -> list[CaseAnswer] | None:
    """What the mistake answers, on the student's own draws; None if it cannot be run on them."""
    try:
        with test.script(cases, answers):
            return local.answers(test.slot, function, load().sources(mistake), cases, seed)
    except Exception:  # whatever the answer made of our code: this mistake is not the explanation
        return None


def _faults(test: HiddenTest, cases: Sequence[Case], residuals: Sequence[Residual]) -> Faults:
    """Failed checks by case and name, as far as they can be repeated."""
    return {
        (r.case, r.name): r.fault
        for r in residuals
        if r.fault and r.name not in test.drawn and test.repeats(cases[r.case])
    }


def _without(faults: Faults, names: frozenset[str]) -> Faults:
    return {key: fault for key, fault in faults.items() if key[1] not in names}


def _only(faults: Faults, case: int) -> Faults:
    """The faults of one case, as if it were the first."""
    return {(0, name): fault for (i, name), fault in faults.items() if i == case}


def _agree(
    student: Faults, other: Faults, answers: Sequence[CaseAnswer], found: Sequence[CaseAnswer]
) -> bool:
    """The same checks fail in the same way, with the same wrong numbers."""
    if student != other:
        return False
    return all(_same(answers[case], found[case], check) for case, check in student)


def _same(one: CaseAnswer, two: CaseAnswer, check: str) -> bool:
    if one.error or two.error:
        return bool(one.error and two.error) and _gist(one.error) == _gist(two.error)
    if check in one.tensors or check in two.tensors:
        return _close(one.tensors.get(check), two.tensors.get(check))
    return one.values.get(check) == two.values.get(check)


def _gist(error: Any) -> tuple[str, str]:
    return str(error.get("type")), re.sub(r"\d+", "#", str(error.get("text")))


def _close(one: np.ndarray | None, two: np.ndarray | None) -> bool:
    if one is None or two is None:
        return one is two
    if one.shape != two.shape or not np.array_equal(np.isfinite(one), np.isfinite(two)):
        return False
    on = np.isfinite(one)
    scale = max(float(np.abs(two[on]).max()), 1e-12) if on.any() else 1.0
    return bool((np.abs(one[on] - two[on]) <= CLOSE * scale).all())
