"""Run the hidden tests of one submission's slots: first plain functions, then training loops.

Each slot is one call into the sandbox. Where a slot calls others by name, the reference replaces those that failed, so
that no mistake costs points twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograder.core.failures import GraderFailure, guarded, not_gradable
from autograder.programs.assemble import code_for_slots
from autograder.programs.dependencies import SlotDependencies
from autograder.sandbox.calls import Call, call_with_retry
from autograder.slots import verdicts
from autograder.slots.exchange import read_answers, slot_request
from autograder.slots.hidden_tests import HIDDEN_TESTS, draw
from autograder.slots.hidden_tests.checked import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from assignment.registry import Spec
    from autograder.core.records import Answers, ItemResult
    from autograder.sandbox import WorkerSession

MAX_TENSORS = 400
SLOT_THREADS = 1  # of PyTorch: the inputs are tiny, and the order of sums must not depend on the number of cores


def run_hidden_tests(
    session: WorkerSession,
    answers: Answers,
    spec: Spec,
    seed: int,
    only: Iterable[str] | None = None,
    on_slot: Callable[[str], None] | None = None,
) -> dict[str, ItemResult]:
    """Test the slots `only` (None: all). Returns their results by slot id, in the registry's order.

    The slots that these call by name are tested too, without being reported. The same seed draws the same inputs.
    A grader error ends in `not_gradable`, never in an exception. on_slot: called with the id of each tested slot.
    """
    wanted = frozenset(slot.id for slot in spec.slots) if only is None else frozenset(only)
    run = _SlotTests(session, answers, spec, seed, SlotDependencies.of(answers, spec))
    needed = run.dependencies.reach(wanted)
    results: dict[str, ItemResult] = {}
    for loops in (False, True):
        group = [slot.id for slot in spec.slots if slot.id in needed and HIDDEN_TESTS[slot.id].loop == loops]
        for slot in group:
            results[slot] = run.result_of(slot, results)
            if on_slot is not None and slot in wanted:
                on_slot(slot)
        for slot in group:
            results[slot] = run.retested(slot, results)
    return {slot.id: results[slot.id] for slot in spec.slots if slot.id in wanted}


def _not_gradable(failure: GraderFailure, _: _SlotTests, slot: str, _replaced: tuple[str, ...]) -> ItemResult:
    return not_gradable(slot, failure)


@dataclass(frozen=True)
class _SlotTests:
    """The slot tests of one submission."""

    session: WorkerSession
    answers: Answers
    spec: Spec
    seed: int
    dependencies: SlotDependencies

    def result_of(self, slot: str, results: Mapping[str, ItemResult]) -> ItemResult:
        """Test one slot. The reference replaces the slots that it calls and that failed or are not answered."""
        early = verdicts.from_state(self.answers.slots[slot])
        if early is not None:
            return early
        below = sorted(self.dependencies.below(slot))
        replaced = tuple(o for o in below if self.answers.slots[o].state != "present" or _failed(results, o))
        return self._run(slot, replaced)

    def retested(self, slot: str, results: Mapping[str, ItemResult]) -> ItemResult:
        """Test a failed slot again if a slot that it calls was found to fail after it. The better result counts."""
        first = results[slot]
        late = {o for o in self.dependencies.below(slot) if _failed(results, o)} - set(first.replaced)
        if first.status in ("passed", "not_attempted", "not_gradable") or not late:
            return first
        again = self.result_of(slot, results)
        return again if again.share > first.share else first

    @guarded(_not_gradable)
    def _run(self, slot: str, replaced: tuple[str, ...]) -> ItemResult:
        """Call the slot in the sandbox and compare its answers."""
        from autograder.sandbox import AnyTensors, Limits

        test, function, cases = HIDDEN_TESTS[slot], self.spec.slot(slot).name, draw(slot, self.seed)
        code = code_for_slots(self.spec, self.answers, sorted(self.dependencies.reach([slot])), replaced)
        payload, tensors = slot_request(slot, function, cases, self.seed)
        limits = Limits.for_item(self.spec, "loop_slot" if test.loop else "slot", slot, SLOT_THREADS)
        call = Call("call_slot", {**payload, "code": code}, tensors, limits=limits, expect=AnyTensors(MAX_TENSORS))
        reply = call_with_retry(self.session, self.spec, call)
        if reply.kind != "answered":
            return verdicts.from_reply(slot, reply, self.seed, replaced)
        try:
            found = read_answers(reply.data, reply.tensors, len(cases))
        except (ValueError, IndexError):
            return verdicts.from_reply(slot, reply, self.seed, replaced, readable=False)
        return verdicts.from_answers(check(test, function, cases, found, self.seed), self.spec, replaced, reply.wall_s)


def _failed(results: Mapping[str, ItemResult], slot: str) -> bool:
    return slot in results and results[slot].status != "passed"
