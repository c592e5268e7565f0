"""The slot tests as a step of a grading run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.context import GradingContext, grading_step
from autograder.core.failures import NO_SANDBOX, not_gradable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.core.records import ItemResult


@grading_step("slot")
def run_slot_tests(run: GradingContext, _results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Test the selected slots, and those whose results a training item needs."""
    from autograder.slots import verdicts
    from autograder.slots.runner import run_hidden_tests

    slots = run.selection.slots_needed
    if run.session is None:
        answers = (run.answers.slots[slot] for slot in slots)
        return {a.slot: verdicts.from_state(a) or not_gradable(a.slot, NO_SANDBOX) for a in answers}
    step = run.progress.start("testing slots", total=len(slots))
    found = run_hidden_tests(
        run.session, run.answers, run.spec, run.seed, slots, on_slot=lambda slot: step.advance(note=slot)
    )  # fmt: skip
    passed = sum(result.status == "passed" for result in found.values())
    step.done(f"{passed} of {len(slots)} passed")
    return found
