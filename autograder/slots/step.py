"""Slot tests as a step of a grading run."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.context import GradingContext, grading_step
from autograder.core.failures import NO_SANDBOX, not_gradable
from autograder.core.records import ItemResult


@grading_step("slot")
def run_slot_tests(run: GradingContext, results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Results of the selected slots, and of those whose verdict a training item needs."""
    from autograder.slots import verdicts
    from autograder.slots.judge import judge_slots

    slots = run.selection.slots_needed
    if run.session is None:
        answers = (run.answers.slots[slot] for slot in slots)
        return {a.slot: verdicts.without_running(a) or not_gradable(a.slot, NO_SANDBOX) for a in answers}
    step = run.progress.start("testing slots", total=len(slots))
    found = judge_slots(
        run.session, run.answers, run.spec, run.seed, slots, on_slot=lambda slot: step.advance(note=slot)
    )  # fmt: skip
    passed = sum(result.status == "passed" for result in found.values())
    step.done(f"{passed} of {len(slots)} passed")
    return found
