"""Which slots an answer calls by name: read from the text, without parsing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assignment.registry import Spec
from autograder.core.records import Answers

WORD = re.compile(r"[A-Za-z_]\w*")
TOP_LEVEL = re.compile(r"^(?=[^\s#)\]}])", re.MULTILINE)
DEFINED = re.compile(r"(?:async\s+def|def|class)\s+(\w+)|(\w+)[^=\n]*=")


@dataclass(frozen=True)
class SlotDependencies:
    """direct: slot id -> ids of the slots whose names its source or a helper it uses mentions. allowed: slot id
    -> those that it may build on."""

    direct: dict[str, frozenset[str]]
    allowed: dict[str, frozenset[str]]

    @classmethod
    def of(cls, answers: Answers, spec: Spec) -> SlotDependencies:
        """Read all present answers. A name in a comment counts too: that costs nothing but a replacement."""
        helpers = _helpers(answers.prelude)
        slots = {slot.name: slot.id for slot in spec.slots}
        direct = {}
        for slot in spec.slots:
            answer = answers.slots[slot.id]
            own = set(WORD.findall(answer.source)) if answer.state == "present" else set()
            words = reachable(own, lambda word: helpers.get(word, ()))
            direct[slot.id] = frozenset({slots[word] for word in words & set(slots)} - {slot.id})
        return cls(direct, {slot.id: frozenset(slot.calls) for slot in spec.slots})

    def reach(self, start: Iterable[str]) -> frozenset[str]:
        """These slots and all that they call, directly or through each other."""
        return reachable(start, self.direct.__getitem__)

    def below(self, slot: str) -> frozenset[str]:
        """The slots that this one builds on, directly or through others: their reference may stand in for them.

        A call that the registry does not list uses the student's code, or fails with NameError.
        """
        return reachable([slot], lambda one: self.direct[one] & self.allowed[one]) - {slot}


def reachable(start: Iterable[str], edges: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """`start` and all that it leads to along these edges."""
    queue = list(start)
    seen = set(queue)
    while queue:
        fresh = set(edges(queue.pop())) - seen
        seen |= fresh
        queue += fresh
    return frozenset(seen)


def _helpers(prelude: str) -> dict[str, set[str]]:
    """Top-level name of the prelude -> the words of the block that defines it."""
    found: dict[str, set[str]] = {}
    for block in TOP_LEVEL.split(prelude):
        defined = DEFINED.match(block)
        if defined:
            found.setdefault(defined.group(1) or defined.group(2), set()).update(WORD.findall(block))
    return found
