"""Which rubric items a run grades, and what has to run for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assignment.registry import Spec
from autograder.core.records import Answers


@dataclass(frozen=True)
class Selection:
    """items: those asked for. training, quality: those of them of that kind. slots_needed: slot tests that
    have to run, as items or because a training item must know which slots to replace."""

    items: frozenset[str]
    training: tuple[str, ...]
    quality: tuple[str, ...]
    slots_needed: tuple[str, ...]

    def needs_worker(self, answers: Answers) -> bool:
        """Is there student code to run? A blank notebook needs no sandbox."""
        slots = answers.slots if self.quality else self.slots_needed
        return any(answers.slots[slot].state == "present" for slot in slots)

    def trainable(self, spec: Spec, answers: Answers) -> tuple[str, ...]:
        """The training items whose loop is there to be run."""
        loops = {item: spec.items[item].loop for item in self.training}
        return tuple(item for item, loop in loops.items() if loop and answers.slots[loop].state == "present")


def select(spec: Spec, only: Sequence[str] = ()) -> Selection:
    """The selection of these items, or of all."""
    items = frozenset(only or spec.items)
    training = tuple(i.id for i in spec.item_list if i.kind == "training" and i.id in items)
    quality = tuple(i.id for i in spec.item_list if i.kind == "quality" and i.id in items)
    # A loop may call any slot by name, so a training item wants the verdict on all of them.
    needed = tuple(slot.id for slot in spec.slots if training or slot.id in items)
    return Selection(items, training, quality, needed)
