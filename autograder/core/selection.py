"""The rubric items that a run grades, and the slot tests that have to run for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from assignment.registry import ItemKind, Spec
    from autograder.core.records import Answers


@dataclass(frozen=True)
class Selection:
    """The selected items by kind, in the registry's order.

    slots_needed: the slots to test, because they are selected or because a training item must know which slots failed.
    """

    by_kind: Mapping[ItemKind, tuple[str, ...]]
    slots_needed: tuple[str, ...]

    def of(self, kind: ItemKind) -> tuple[str, ...]:
        """The selected items of one kind."""
        return self.by_kind.get(kind, ())

    def __contains__(self, item: str) -> bool:
        return any(item in items for items in self.by_kind.values())

    def needs_worker(self, answers: Answers) -> bool:
        """Whether there is student code to run. A blank notebook needs no sandbox."""
        slots = answers.slots if self.of("quality") else self.slots_needed
        return any(answers.slots[slot].state == "present" for slot in slots)

    def trainable(self, spec: Spec, answers: Answers) -> tuple[str, ...]:
        """The selected training items whose training loop is answered."""
        loops = {item: spec.items[item].loop for item in self.of("training")}
        return tuple(item for item, loop in loops.items() if loop and answers.slots[loop].state == "present")


def select(spec: Spec, only: Sequence[str] = ()) -> Selection:
    """Select these items; all items if `only` is empty."""
    chosen = frozenset(only or spec.items)
    by_kind: dict[ItemKind, tuple[str, ...]] = {}
    for item in spec.item_list:
        if item.id in chosen:
            by_kind[item.kind] = (*by_kind.get(item.kind, ()), item.id)
    # A loop may call any slot by name, so a training item needs the results of all slots.
    needed = tuple(slot.id for slot in spec.slots if "training" in by_kind or slot.id in chosen)
    return Selection(by_kind, needed)
