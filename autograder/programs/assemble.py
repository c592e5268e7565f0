"""Assemble the code that a worker is sent for slot tests, training stages and code quality.

It consists of the student's answers, with the reference solution in place of some slots.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograder.programs.dependencies import SlotDependencies
from autograder.programs.replacement import replacement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from assignment.registry import ItemSpec, Spec
    from autograder.core.records import Answers, ItemResult


@dataclass(frozen=True)
class StageCode:
    """The code of one training stage.

    payload: what the worker's namespace is built from (see worker_code). replaced: ids of the slots whose reference is
    used. all_passed: no slot was replaced, and the training loop passed its test.
    """

    payload: Mapping[str, Any]
    replaced: tuple[str, ...]
    all_passed: bool

    @property
    def key(self) -> str:
        """Return the sha256 of the payload."""
        text = json.dumps(self.payload, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def worker_code(spec: Spec, prelude: str, sources: Mapping[str, str]) -> dict[str, Any]:
    """Build the JSON data of a worker's namespace: the prelude, and each slot's source and name."""
    return {"prelude": prelude, "slots": dict(sources), "names": {slot: spec.slot(slot).name for slot in sources}}


def code_for_slots(
    spec: Spec, answers: Answers, slots: Iterable[str] | None = None, replaced: Collection[str] = ()
) -> dict[str, Any]:
    """Build the worker's code of these slots (None: all of them).

    Slots in `replaced` are the reference's; the others are included only if the student answered them.
    """
    wanted = (slot.id for slot in spec.slots) if slots is None else slots
    sources = {
        slot: replacement(spec, slot) if slot in replaced else answers.slots[slot].source
        for slot in wanted
        if slot in replaced or answers.slots[slot].state == "present"
    }
    return worker_code(spec, answers.prelude, sources)


def stage_code(spec: Spec, answers: Answers, results: Mapping[str, ItemResult], item: ItemSpec) -> StageCode:
    """Build the code for the stage of a training item. results: those of all slots that were graded.

    The reference replaces participants (see `participants`) that did not pass or were not graded, but never the loop
    under test. Other slots are included if they were answered, since the loop may use a helper in their cells.
    """
    assert item.loop is not None
    passed = {slot for slot, result in results.items() if result.status == "passed"}
    failed = participants(spec, answers, item) - {item.loop} - passed
    replaced = tuple(slot.id for slot in spec.slots if slot.id in failed)
    return StageCode(code_for_slots(spec, answers, None, replaced), replaced, not replaced and item.loop in passed)


def participants(spec: Spec, answers: Answers, item: ItemSpec) -> frozenset[str]:
    """Return the ids of the slots that take part in an item's stage.

    They are the loop, the registry's stage_slots, and the slots that the loop builds on by name.
    """
    assert item.loop is not None
    return SlotDependencies.of(answers, spec).below(item.loop) | {item.loop, *item.stage_slots}
