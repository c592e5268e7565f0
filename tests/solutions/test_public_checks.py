"""The public checks: the reference passes, the blank slot is seen as blank, known mistakes are caught."""

from __future__ import annotations

from collections import Counter

import pytest

from rlhf_kit.checks import connect_grader
from tests.solutions.conftest import FILES, SOLUTIONS, blank
from tests.solutions.mistakes import MISTAKES

CHECKS = SOLUTIONS / "checks"


def run(slot, namespace):
    return connect_grader(CHECKS, namespace).check(slot)


@pytest.mark.parametrize("slot", FILES)
def test_the_reference_passes(slot, reference):
    result = run(slot, reference)
    assert result.passed, result


@pytest.mark.parametrize("slot", FILES)
def test_a_blank_slot_is_not_answered_yet(slot, with_slot):
    result = run(slot, with_slot(slot, blank))
    assert result.blank
    assert not result.passed


NAMES = [f"{slot}-{mistake}" for slot, mistake, *_ in MISTAKES]


@pytest.mark.parametrize(("slot", "mistake", "old", "new"), MISTAKES, ids=NAMES)
def test_a_known_mistake_is_caught_in_words(slot, mistake, old, new, with_slot):
    def edit(cell):
        assert cell.count(old) == 1, f"the reference of {slot} has changed; adapt the mistake {mistake!r}"
        return cell.replace(old, new)

    result = run(slot, with_slot(slot, edit))
    assert not result.passed, f"{slot} accepts: {mistake}"
    assert any(case.detail and not case.passed for case in result.cases), "a failed check must say something"


def test_each_slot_has_at_least_three_mistakes_that_its_check_catches():
    counted = Counter(slot for slot, *_ in MISTAKES)
    assert {slot for slot in FILES if counted[slot] < 3} == set()


def test_every_slot_has_its_check_and_no_check_is_left_over():
    assert sorted(path.stem for path in CHECKS.glob("*.py")) == sorted(FILES)


def test_checks_do_not_hold_lines_of_the_reference():
    """A check works with numbers by hand, so no longer line of a solution may stand in it."""
    for slot, file in FILES.items():
        cell = next(c for c in file.read_text().split("# %%\n") if c.lstrip().startswith(f"# TODO {slot}"))
        body = cell[cell.index("# BEGIN SOLUTION") :]
        lines = {line.strip() for line in body.splitlines() if len(line.strip()) > 30}
        found = lines & {line.strip() for line in (CHECKS / f"{slot}.py").read_text().splitlines()}
        assert not found, f"{slot}: {found}"
