"""Find the known mistake that explains a wrong answer: the one that gives the same numbers on the same inputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.core.failures import guarded
from autograder.slots.hidden_tests.checked import CheckedAnswers, check
from autograder.slots.misconceptions import Mistake, load_library
from autograder.slots.misconceptions.in_process import run_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from autograder.slots.hidden_tests.base import Case, CaseAnswer

# Of the largest entry. The same mistake written in another way agrees to 1e-5 in float32; two mistakes differ by more.
CLOSE = 1e-3

Faults = dict[tuple[int, str], str]  # by case and name of the check


@guarded(lambda *_: [])  # a name only explains the result, which stands without one if an odd answer breaks this
def matching_mistakes(checked: CheckedAnswers) -> list[Mistake]:
    """The known mistakes that reproduce these answers; more than one if they explain them equally well.

    First all failed checks have to agree, then all but those of statistics that are only reported. Mistakes in what is
    sampled cannot be reproduced; they are recognised by which checks fail.
    """
    mistakes = load_library().mistakes.get(checked.test.slot, ())
    student = _faults(checked)
    cheapest = min((case for case, _ in student), key=lambda i: _cost(checked.cases[i]), default=None)
    runs: list[tuple[Mistake, CheckedAnswers]] = []
    if cheapest is not None:
        probe = checked.only(cheapest)  # most mistakes are ruled out by one case in which the student is wrong
        runs = [(m, run) for m in mistakes if not _ruled_out(m, probe) and (run := _run(m, checked))]
    for ignored in (frozenset(), checked.test.reported_only) if checked.test.reported_only else (frozenset(),):
        same = [m for m, run in runs if _without(student, ignored) and _agree(checked, run, ignored)]
        if same:
            return same
    failed = {r.name for r in checked.failed}
    return [m for m in mistakes if m.signature and m.signature[0] in failed and failed <= set(m.signature)]


def _cost(case: Case) -> int:
    """An estimate of how long a case takes to run, in no unit."""
    return sum(x.size for x in case.tensors.values()) + 100 * len(case.args.get("prompts", ()))


def _ruled_out(mistake: Mistake, probe: CheckedAnswers) -> bool:
    """Whether this one case shows that it is not this mistake."""
    run = _run(mistake, probe)
    return run is None or not _agree(probe, run, probe.test.reported_only)


def _run(mistake: Mistake, checked: CheckedAnswers) -> CheckedAnswers | None:
    """The mistake's answers to the same cases, with what the student's code sampled; None if it cannot be run."""
    test, function, cases, seed = checked.test, checked.function, checked.cases, checked.seed
    try:
        with test.same_samples(cases, checked.answers):
            answers = run_sources(test.slot, function, load_library().sources(mistake), cases, seed)
    except Exception:  # noqa: BLE001 - an odd answer may break the mistake's code anywhere
        return None
    return check(test, function, cases, answers, seed)


def _faults(checked: CheckedAnswers) -> Faults:
    """The failed checks that another program with the same mistake fails too."""
    test = checked.test
    return {
        (r.case, r.name): r.fault
        for r in checked.failed
        if r.name not in test.random_checks and test.is_deterministic(checked.cases[r.case])
    }


def _without(faults: Faults, names: frozenset[str]) -> Faults:
    return {key: fault for key, fault in faults.items() if key[1] not in names}


def _agree(student: CheckedAnswers, mistake: CheckedAnswers, ignored: frozenset[str]) -> bool:
    """Whether the same checks fail in the same way, with the same wrong numbers. ignored: names of checks."""
    faults = _without(_faults(student), ignored)
    if faults != _without(_faults(mistake), ignored):
        return False
    return all(_same(student.answers[case], mistake.answers[case], name) for case, name in faults)


def _same(one: CaseAnswer, two: CaseAnswer, name: str) -> bool:
    if one.error or two.error:
        return bool(one.error and two.error) and _without_digits(one.error or {}) == _without_digits(two.error or {})
    if name in one.tensors or name in two.tensors:
        return _close(one.tensors.get(name), two.tensors.get(name))
    return bool(one.values.get(name) == two.values.get(name))


def _without_digits(error: Mapping[str, str]) -> tuple[str, str]:
    """An exception's type and text, with a # for each number: sizes differ from case to case."""
    return str(error.get("type")), re.sub(r"\d+", "#", str(error.get("text")))


def _close(one: NDArray[Any] | None, two: NDArray[Any] | None) -> bool:
    if one is None or two is None:
        return one is two
    if one.shape != two.shape or not np.array_equal(np.isfinite(one), np.isfinite(two)):
        return False
    on = np.isfinite(one)
    scale = max(float(np.abs(two[on]).max()), 1e-12) if on.any() else 1.0
    return bool((np.abs(one[on] - two[on]) <= CLOSE * scale).all())
