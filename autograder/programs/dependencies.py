"""Find out which slots an answer calls by name, by searching its text without parsing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from assignment.registry import Spec
    from autograder.core.records import Answers

WORD = re.compile(r"[A-Za-z_]\w*")
TOP_LEVEL = re.compile(r"^(?=[^\s#)\]}])", re.MULTILINE)
DEFINED = re.compile(r"(?:async\s+def|def|class)\s+(\w+)|(\w+)[^=\n]*=")


@dataclass(frozen=True)
class SlotDependencies:
    """Which slots each slot calls, by slot id.

    direct: the slots whose names are mentioned in the slot's source or in a helper that it uses.
    allowed: the slots that the registry lets it build on.
    """

    direct: dict[str, frozenset[str]]
    allowed: dict[str, frozenset[str]]

    @classmethod
    def of(cls, answers: Answers, spec: Spec) -> SlotDependencies:
        """Search all present answers. A name in a comment counts as well, which at worst replaces a slot needlessly."""
        helpers = _helpers(answers.prelude)
        slots = {slot.name: slot.id for slot in spec.slots}
        direct = {}
        for slot in spec.slots:
            answer = answers.slots[slot.id]
            mentioned = set(WORD.findall(answer.source)) if answer.state == "present" else set()
            words = reachable(mentioned, lambda word: helpers.get(word, ()))
            direct[slot.id] = frozenset({slots[word] for word in words & set(slots)} - {slot.id})
        return cls(direct, {slot.id: frozenset(slot.calls) for slot in spec.slots})

    def reach(self, start: Iterable[str]) -> frozenset[str]:
        """Return these slots and all that they call, directly or through each other."""
        return reachable(start, self.direct.__getitem__)

    def below(self, slot: str) -> frozenset[str]:
        """Return the slots that this one builds on, directly or through others, which the reference may replace.

        Calls not listed in the registry use the student's code, or fail with NameError.
        """
        return reachable([slot], lambda one: self.direct[one] & self.allowed[one]) - {slot}


def reachable(start: Iterable[str], edges: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """Return `start` and all that can be reached from it along the edges."""
    queue = list(start)
    seen = set(queue)
    while queue:
        fresh = set(edges(queue.pop())) - seen
        seen |= fresh
        queue += fresh
    return frozenset(seen)


def _helpers(prelude: str) -> dict[str, set[str]]:
    """Map each top-level name of the prelude to the words of the blocks that define it."""
    found: dict[str, set[str]] = {}
    for block in TOP_LEVEL.split(prelude):
        defined = DEFINED.match(block)
        if defined:
            found.setdefault(defined.group(1) or defined.group(2), set()).update(WORD.findall(block))
    return found
