"""Slot tests of one submission: leaves first, then the loops, with the reference for slots that failed.

Each slot is one call into the sandbox. A slot that calls others by name is tested with the reference in
the place of those that failed, so that no mistake costs points twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assignment.registry import Spec, load_spec
from autograder.core.failures import guarded, not_gradable
from autograder.core.records import Answer, Answers, ItemResult
from autograder.programs.dependencies import Callees
from autograder.programs.replacement import replacement
from autograder.sandbox.calls import graded_call
from autograder.slots import verdicts
from autograder.slots.hidden_tests import HIDDEN_TESTS, draw
from autograder.slots.misconceptions.local import read, request

if TYPE_CHECKING:
    from autograder.sandbox import Limits, WorkerSession

NO_SANDBOX = "there is code to run and no sandbox to run it in"
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
    run = _Run(session, answers, spec, seed, Callees.of(answers, spec))
    needed = run.callees.reach(wanted)
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


def judge_slot_without_running(answer: Answer, spec: Spec) -> ItemResult:
    """The verdict on a blank, missing or broken answer; an answer that would have to run is not gradable."""
    return verdicts.without_running(answer) or not_gradable(answer.slot, NO_SANDBOX)


def judged_code(
    answers: Answers, results: Mapping[str, ItemResult], spec: Spec | None = None, keep: Sequence[str] = ()
) -> dict[str, Any]:
    """What a worker's namespace is built from: the student's source of each slot that passed, else the
    reference. keep: slots that stay the student's whatever their verdict (the loop under test)."""
    spec = spec or load_spec()
    slots = {}
    for slot in spec.slots:
        result = results.get(slot.id)
        mine = slot.id in keep or (result is not None and result.status == "passed")
        slots[slot.id] = answers.slots[slot.id].source if mine else replacement(slot.id)
    return {"prelude": answers.prelude, "slots": slots, "names": {slot.id: slot.name for slot in spec.slots}}


@dataclass(frozen=True)
class _Run:
    """One submission's slot tests."""

    session: WorkerSession
    answers: Answers
    spec: Spec
    seed: int
    callees: Callees

    def settle(self, slot: str, results: Mapping[str, ItemResult]) -> ItemResult:
        """The verdict on one slot; slots below it that failed, or are not there, are the reference."""
        early = verdicts.without_running(self.answers.slots[slot])
        if early is not None:
            return early
        below = sorted(self.callees.below(slot))
        replaced = tuple(o for o in below if self.answers.slots[o].state != "present" or _failed(results, o))
        return guarded(lambda: self._judge(slot, replaced), lambda reason, trace: not_gradable(slot, reason, trace))

    def once_only(self, slot: str, results: Mapping[str, ItemResult]) -> ItemResult:
        """A failed slot is tested again where a slot below it turned out, later, to have failed as well."""
        first = results[slot]
        late = {o for o in self.callees.below(slot) if _failed(results, o)} - set(first.replaced)
        if first.status in ("passed", "not_attempted", "not_gradable") or not late:
            return first
        again = self.settle(slot, results)
        return again if again.share > first.share else first

    def _judge(self, slot: str, replaced: tuple[str, ...]) -> ItemResult:
        """One call into the sandbox, and its comparison."""
        from autograder.sandbox import AnyTensors

        cases = draw(slot, self.seed)
        payload, tensors = request(slot, self.spec.slot(slot).name, cases, self.seed)
        reply = graded_call(
            self.session, self.spec, "call_slot", {**payload, "code": self._code(slot, replaced)}, tensors,
            limits=_limits(self.spec, slot), expect=AnyTensors(max_count=MAX_TENSORS),
        )  # fmt: skip
        if reply.kind != "answered":
            return verdicts.from_reply(slot, reply, self.seed, replaced)
        try:
            found = read(reply.data, reply.tensors, len(cases))
        except (ValueError, IndexError):
            return verdicts.from_reply(slot, reply, self.seed, replaced, readable=False)
        return verdicts.from_answers(slot, cases, found, self.spec, self.seed, replaced, reply.wall_s)

    def _code(self, slot: str, replaced: tuple[str, ...]) -> dict[str, Any]:
        """The prelude, the slot, and the slots below it."""
        slots = {
            one: replacement(one) if one in replaced else self.answers.slots[one].source
            for one in sorted(self.callees.reach([slot]))
            if one in replaced or self.answers.slots[one].state == "present"
        }  # fmt: skip
        names = {one: self.spec.slot(one).name for one in slots}
        return {"prelude": self.answers.prelude, "slots": slots, "names": names}


def _failed(results: Mapping[str, ItemResult], slot: str) -> bool:
    return slot in results and results[slot].status != "passed"


def _limits(spec: Spec, slot: str) -> Limits:
    from autograder.sandbox import Limits

    bounds = spec.limits.of("loop_slot" if HIDDEN_TESTS[slot].loop else "slot", slot)
    return Limits(
        wall_s=bounds.wall_s, cpu_s=bounds.cpu_s or None, memory_bytes=bounds.memory_bytes,
        reply_bytes=bounds.reply_bytes, threads=SLOT_THREADS,
    )  # fmt: skip
