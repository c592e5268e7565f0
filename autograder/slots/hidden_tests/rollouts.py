"""Reading what came back as token lists: validated, grouped into phases, checked for how it was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.slots.oracles import comparison, replay_ppo
from autograder.slots.oracles.losses import Floats

EOS, PAD = 0, 1
SURPRISE_MAX = 5.0  # standard deviations; a correct sampler exceeds it once in a million runs
NEVER = -20.0  # a logit that is never drawn: padding is no reply


@dataclass(frozen=True)
class Rolled:
    """One phase: prompts and replies, and the number of updates made before it."""

    prompts: list[list[int]]
    replies: list[list[int]]
    updates: int


def token_lists(value: Any, vocab: int) -> list[list[int]]:
    """Lists of token ids below `vocab`; ValueError for anything else, and for more than any rollout needs."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise ValueError("not a list of lists")
    if not all(type(token) is int and 0 <= token < vocab for row in value for token in row):
        raise ValueError("not token ids")
    return bounded(value)


def bounded(rows: list[list[int]]) -> list[list[int]]:
    """These rows; ValueError if they would be too large side by side. Whoever reads a claim of one endless row
    among thousands pads it, our own wrong answers too."""
    if rows and len(rows) * max(map(len, rows)) > replay_ppo.MAX_CELLS:
        raise ValueError(f"{len(rows)} rows of up to {max(map(len, rows))} tokens")
    return rows


def phases(rolled: Sequence[dict[str, Any]], vocab: int, updates: int) -> list[Rolled]:
    """Calls of the reward function, joined where no update lies between them.

    A call that repeats an earlier one of its phase, and calls after the last update, are left out.
    """
    found: list[Rolled] = []
    for call in rolled:
        prompts, replies = token_lists(call["prompts"], vocab), token_lists(call["replies"], vocab)
        if call["updates"] >= updates:
            continue
        if not found or found[-1].updates != call["updates"]:
            found.append(Rolled([], [], int(call["updates"])))
        phase = found[-1]
        if (prompts, replies) == (phase.prompts[-len(prompts) :], phase.replies[-len(prompts) :]):
            continue
        phase.prompts.extend(prompts)
        phase.replies.extend(replies)
    for phase in found:
        bounded([p + r for p, r in zip(phase.prompts, phase.replies)])
    return found


def ends_properly(replies: Sequence[Sequence[int]], limit: int) -> bool:
    """Every reply ends at its first EOS, EOS included, or fills the limit."""
    return all(1 <= len(r) <= limit and EOS not in r[:-1] and (r[-1] == EOS or len(r) == limit) for r in replies)


def drawn_from(parts: Sequence[tuple[Floats, list[list[int]], list[list[int]]]]) -> bool:
    """Whether replies (table, prompts, replies) look like samples at temperature 1, all taken together."""
    z = [comparison.surprise(table, prompts, replies) for table, prompts, replies in parts]
    return abs(sum(z)) / np.sqrt(len(z)) <= SURPRISE_MAX


def bigram_table(rng: np.random.Generator, vocab: int, end: float = 0.6) -> np.ndarray:
    """A random bigram model (V, V), float32: EOS gets `end` more than the rest, padding is never drawn."""
    table = rng.standard_normal((vocab, vocab)).astype(np.float32)
    table[:, EOS] += np.float32(end)
    table[:, PAD] = NEVER
    return table


def random_prompts(rng: np.random.Generator, count: int, vocab: int) -> list[list[int]]:
    """Distinct prompts of 2 to 6 tokens, none of them EOS or padding."""
    seen: dict[tuple[int, ...], None] = {}
    while len(seen) < count:
        seen.setdefault(tuple(rng.integers(2, vocab, size=int(rng.integers(2, 7))).tolist()))
    return [list(p) for p in seen]
