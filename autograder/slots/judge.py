"""Slot tests of one submission: leaves first, then the loops, with the reference for slots that failed.

Each slot is one call into the sandbox. A slot that calls others by name is tested with the reference in
the place of those that failed, so that no mistake costs points twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assignment.registry import Spec
from autograder.core.failures import GraderFailure, guarded, not_gradable
from autograder.core.records import Answers, ItemResult
from autograder.programs.assemble import code_for_slots
from autograder.programs.dependencies import SlotDependencies
from autograder.sandbox.calls import Call, call_with_retry
from autograder.slots import verdicts
from autograder.slots.hidden_tests import HIDDEN_TESTS, draw
from autograder.slots.misconceptions.local import read, request

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession

MAX_TENSORS = 400
SLOT_THREADS = 1  # of PyTorch: the inputs are tiny, and sums do not depend on the machine's cores


def judge_slots(
    session: WorkerSession,
    answers: Answers,
    spec: Spec,
    seed: int,
    only: Iterable[str] | None = None,
    on_slot: Callable[[str], None] | None = None,
) -> dict[str, ItemResult]:
    """Verdicts on the slots `only` (all, if None), by slot id, in registry order.

    Slots that these call by name are tested too, silently. The same seed gives the same inputs. A failure
    of ours ends in `not_gradable`, never in an exception. on_slot: called with each slot's id when done.
    """
    wanted = frozenset(slot.id for slot in spec.slots) if only is None else frozenset(only)
    run = _SlotTests(session, answers, spec, seed, SlotDependencies.of(answers, spec))
    needed = run.dependencies.reach(wanted)
    results: dict[str, ItemResult] = {}
    for loops in (False, True):
        group = [slot.id for slot in spec.slots if slot.id in needed and HIDDEN_TESTS[slot.id].loop == loops]
        for slot in group:
            results[slot] = run.settle(slot, results)
            if on_slot is not None and slot in wanted:
                on_slot(slot)
        for slot in group:
            results[slot] = run.once_only(slot, results)
    return {slot.id: results[slot.id] for slot in spec.slots if slot.id in wanted}


def _unjudged(failure: GraderFailure, _: _SlotTests, slot: str, replaced: tuple[str, ...]) -> ItemResult:
    return not_gradable(slot, failure)


@dataclass(frozen=True)
class _SlotTests:
    """One submission's slot tests."""

    session: WorkerSession
    answers: Answers
    spec: Spec
    seed: int
    dependencies: SlotDependencies

    def settle(self, slot: str, results: Mapping[str, ItemResult]) -> ItemResult:
        """The verdict on one slot; slots below it that failed, or are not there, are the reference."""
        early = verdicts.without_running(self.answers.slots[slot])
        if early is not None:
            return early
        below = sorted(self.dependencies.below(slot))
        replaced = tuple(o for o in below if self.answers.slots[o].state != "present" or _failed(results, o))
        return self._judge(slot, replaced)

    def once_only(self, slot: str, results: Mapping[str, ItemResult]) -> ItemResult:
        """A failed slot is tested again where a slot below it turned out, later, to have failed as well."""
        first = results[slot]
        late = {o for o in self.dependencies.below(slot) if _failed(results, o)} - set(first.replaced)
        if first.status in ("passed", "not_attempted", "not_gradable") or not late:
            return first
        again = self.settle(slot, results)
        return again if again.share > first.share else first

    @guarded(_unjudged)
    def _judge(self, slot: str, replaced: tuple[str, ...]) -> ItemResult:
        """One call into the sandbox, and its comparison."""
        from autograder.sandbox import AnyTensors, Limits

        cases = draw(slot, self.seed)
        code = code_for_slots(self.spec, self.answers, sorted(self.dependencies.reach([slot])), replaced)
        payload, tensors = request(slot, self.spec.slot(slot).name, cases, self.seed)
        kind = "loop_slot" if HIDDEN_TESTS[slot].loop else "slot"
        limits = Limits.for_item(self.spec, kind, slot, SLOT_THREADS)
        call = Call("call_slot", {**payload, "code": code}, tensors, limits=limits, expect=AnyTensors(MAX_TENSORS))
        reply = call_with_retry(self.session, self.spec, call)
        if reply.kind != "answered":
            return verdicts.from_reply(slot, reply, self.seed, replaced)
        try:
            found = read(reply.data, reply.tensors, len(cases))
        except (ValueError, IndexError):
            return verdicts.from_reply(slot, reply, self.seed, replaced, readable=False)
        return verdicts.from_answers(slot, cases, found, self.spec, self.seed, replaced, reply.wall_s)


def _failed(results: Mapping[str, ItemResult], slot: str) -> bool:
    return slot in results and results[slot].status != "passed"
