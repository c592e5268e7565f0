"""The code that a worker is sent, in one form for slot tests, training stages and code quality: the student's answers,
and the reference in the place of some slots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from assignment.registry import ItemSpec, Spec
from autograder.core.records import Answers, ItemResult
from autograder.programs.dependencies import SlotDependencies
from autograder.programs.replacement import replacement


@dataclass(frozen=True)
class StageCode:
    """payload: what the worker's namespace is built from. replaced: slots whose reference takes part.
    all_passed: every slot of the stage is the student's own and passed its test."""

    payload: Mapping[str, Any]
    replaced: tuple[str, ...]
    all_passed: bool

    @property
    def key(self) -> str:
        """sha256 of the payload."""
        text = json.dumps(self.payload, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def worker_code(spec: Spec, prelude: str, sources: Mapping[str, str]) -> dict[str, Any]:
    """What a worker's namespace is built from, as JSON data: prelude, source by slot, and the name of each slot."""
    return {
        "prelude": prelude,
        "slots": dict(sources),
        "names": {slot: spec.slot(slot).name for slot in sources},
    }


def code_of(
    spec: Spec, answers: Answers, slots: Iterable[str] | None = None, replaced: Collection[str] = ()
) -> dict[str, Any]:
    """The worker's code for these slots (None: all), as far as they were answered; for those in `replaced` the
    reference."""
    wanted = (slot.id for slot in spec.slots) if slots is None else slots
    sources = {
        slot: replacement(spec, slot) if slot in replaced else answers.slots[slot].source
        for slot in wanted
        if slot in replaced or answers.slots[slot].state == "present"
    }
    return worker_code(spec, answers.prelude, sources)


def stage_code(spec: Spec, answers: Answers, results: Mapping[str, ItemResult], item: ItemSpec) -> StageCode:
    """The code for the stage of a training item.

    Slots that take part are those of the registry's stage_slots and those that the loop calls by name.
    Of these, one that did not pass (or was not judged) is the reference, except the loop under test.
    Other slots come along as they are, if they were answered: a helper may live in their cells.
    """
    assert item.loop is not None
    passed = {slot for slot, result in results.items() if result.status == "passed"}
    failed = participants(spec, answers, item) - {item.loop} - passed
    replaced = tuple(slot.id for slot in spec.slots if slot.id in failed)
    return StageCode(code_of(spec, answers, None, replaced), replaced, not replaced and item.loop in passed)


def participants(spec: Spec, answers: Answers, item: ItemSpec) -> frozenset[str]:
    """Ids of the slots that take part in an item's stage: the registry's, and what the loop builds on by name."""
    assert item.loop is not None
    return SlotDependencies.of(answers, spec).below(item.loop) | {item.loop, *item.stage_slots}
