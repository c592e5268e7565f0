"""One wrong answer with what its public check must say."""

from __future__ import annotations

from dataclasses import dataclass

# Words of messages that more than one table asks for
PILE, ERASE, UNIT = "pile up", "You erase the gradient", "nats per token"
SAW = "you have"


@dataclass(frozen=True)
class Message:
    """A mistake in a slot. edits: (old text, new text) in turn. says, never: words of the check's output."""

    slot: str
    mistake: str
    edits: tuple[str, ...]
    says: tuple[str, ...]
    never: tuple[str, ...] = ()
