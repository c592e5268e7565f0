"""Rollouts that an answer reports: validated token lists, grouped into phases, and tests of how they were sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.slots.oracles import comparison, replay_ppo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autograder.slots.oracles.losses import Floats

EOS, PAD = 0, 1
MAX_SURPRISE = 5.0  # standard deviations; a correct sampler exceeds it once in a million runs
NEVER = -20.0  # the logit of padding, which is then never sampled


@dataclass(frozen=True)
class Rolled:
    """One phase: its prompts and replies, and the number of updates before it."""

    prompts: list[list[int]]
    replies: list[list[int]]
    updates: int


def token_lists(value: Any, vocab: int) -> list[list[int]]:
    """Return `value` if it is lists of token ids below `vocab`. Raises ValueError otherwise, and as `bounded` does."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise ValueError("not a list of lists")
    if not all(type(token) is int and 0 <= token < vocab for row in value for token in row):
        raise ValueError("not token ids")
    return bounded(value)


def bounded(rows: list[list[int]]) -> list[list[int]]:
    """Return the rows. Raises ValueError if they would take too much memory once they are padded to one length: an
    answer may claim one endless row among thousands."""
    if rows and len(rows) * max(map(len, rows)) > replay_ppo.MAX_CELLS:
        raise ValueError(f"{len(rows)} rows of up to {max(map(len, rows))} tokens")
    return rows


def phases(rolled: Sequence[dict[str, Any]], vocab: int, updates: int) -> list[Rolled]:
    """Group the calls of the reward function into phases: calls with no update between them are one phase.

    Repetitions of the call before, and calls after the last update, are left out.
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
        bounded([p + r for p, r in zip(phase.prompts, phase.replies, strict=False)])
    return found


def ends_properly(replies: Sequence[Sequence[int]], limit: int) -> bool:
    """Whether every reply ends with its first EOS or has `limit` tokens."""
    return all(1 <= len(r) <= limit and EOS not in r[:-1] and (r[-1] == EOS or len(r) == limit) for r in replies)


def drawn_from(parts: Sequence[tuple[Floats, list[list[int]], list[list[int]]]]) -> bool:
    """Whether the replies of all (table, prompts, replies) together look like samples at temperature 1."""
    z = [comparison.surprise(table, prompts, replies) for table, prompts, replies in parts]
    return bool(abs(sum(z)) / np.sqrt(len(z)) <= MAX_SURPRISE)


def bigram_table(rng: np.random.Generator, vocab: int, end: float = 0.6) -> np.ndarray:
    """Draw a bigram model (V, V), float32. The logits of EOS are raised by `end`; padding is never sampled."""
    table = rng.standard_normal((vocab, vocab)).astype(np.float32)
    table[:, EOS] += np.float32(end)
    table[:, PAD] = NEVER
    return table


def random_prompts(rng: np.random.Generator, count: int, vocab: int) -> list[list[int]]:
    """Draw distinct prompts of 2 to 6 tokens without EOS and padding."""
    seen: dict[tuple[int, ...], None] = {}
    while len(seen) < count:
        seen.setdefault(tuple(rng.integers(2, vocab, size=int(rng.integers(2, 7))).tolist()))
    return [list(p) for p in seen]
