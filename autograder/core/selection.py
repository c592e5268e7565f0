"""Which rubric items a run grades, and what has to run for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assignment.registry import ItemKind, Spec
from autograder.core.records import Answers


@dataclass(frozen=True)
class Selection:
    """The items that were asked for, by kind and in the registry's order. slots_needed: slot tests that have to run,
    as items or because a training item must know which slots to replace."""

    by_kind: Mapping[ItemKind, tuple[str, ...]]
    slots_needed: tuple[str, ...]

    def of(self, kind: ItemKind) -> tuple[str, ...]:
        """The items of one kind."""
        return self.by_kind.get(kind, ())

    def __contains__(self, item: str) -> bool:
        return any(item in items for items in self.by_kind.values())

    def needs_worker(self, answers: Answers) -> bool:
        """Is there student code to run? A blank notebook needs no sandbox."""
        slots = answers.slots if self.of("quality") else self.slots_needed
        return any(answers.slots[slot].state == "present" for slot in slots)

    def trainable(self, spec: Spec, answers: Answers) -> tuple[str, ...]:
        """The training items whose loop is there to be run."""
        loops = {item: spec.items[item].loop for item in self.of("training")}
        return tuple(item for item, loop in loops.items() if loop and answers.slots[loop].state == "present")


def select(spec: Spec, only: Sequence[str] = ()) -> Selection:
    """The selection of these items, or of all."""
    chosen = frozenset(only or spec.items)
    by_kind: dict[ItemKind, tuple[str, ...]] = {}
    for item in spec.item_list:
        if item.id in chosen:
            by_kind[item.kind] = (*by_kind.get(item.kind, ()), item.id)
    # A loop may call any slot by name, so a training item wants the verdict on all of them.
    needed = tuple(slot.id for slot in spec.slots if "training" in by_kind or slot.id in chosen)
    return Selection(by_kind, needed)
