"""The code that a stage runs: the student's answers, with the reference where a slot failed its own test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assignment.registry import ItemSpec, Spec
from autograder.core.records import Answers, ItemResult
from autograder.programs.dependencies import Callees
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


def stage_code(spec: Spec, answers: Answers, results: Mapping[str, ItemResult], item: ItemSpec) -> StageCode:
    """The code for the stage of a training item.

    Slots that take part are those of the registry's stage_slots and those that the loop calls by name.
    Of these, one that did not pass (or was not judged) is the reference, except the loop under test.
    Other slots come along as they are, if they were answered: a helper may live in their cells.
    """
    assert item.loop is not None
    taking_part = participants(spec, answers, item)
    slots, replaced = {}, []
    for slot in spec.slots:
        answer, result = answers.slots[slot.id], results.get(slot.id)
        passed = result is not None and result.status == "passed"
        if slot.id in taking_part and slot.id != item.loop and not passed:
            replaced.append(slot.id)
            slots[slot.id] = replacement(slot.id)
        elif answer.state == "present":
            slots[slot.id] = answer.source
    loop = results.get(item.loop)
    payload = {
        "prelude": answers.prelude,
        "slots": slots,
        "names": {id_: spec.slot(id_).name for id_ in slots},
    }
    return StageCode(payload, tuple(replaced), not replaced and loop is not None and loop.status == "passed")


def participants(spec: Spec, answers: Answers, item: ItemSpec) -> frozenset[str]:
    """Ids of the slots that take part in an item's stage: the registry's, and what the loop builds on by name."""
    assert item.loop is not None
    return Callees.of(answers, spec).below(item.loop) | {item.loop, *item.stage_slots}
