"""Makes the kit's sampler repeat what it is told: two programs are compared on the same rollouts.

Used in the grader's process only, around code of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def scripted(rollouts: Sequence[tuple[list[list[int]], list[list[int]]]]) -> Iterator[None]:
    """Let `kit.rollout` give these (prompts, replies) one after the other, whatever it is asked for.

    So a wrong loop of ours sees the very rollouts that a student's loop drew.
    """
    import rlhf_kit as kit

    turns, original = iter(rollouts), kit.rollout

    def fake(lm: Any, prompts: Any, max_new_tokens: int, generator: Any = None) -> kit.Rollout:
        given, replies = next(turns)
        return kit.lay_out(given, replies)

    kit.rollout = fake
    try:
        yield
    finally:
        kit.rollout = original


@contextmanager
def scripted_samples(replies: Sequence[list[list[int]]]) -> Iterator[None]:
    """Let `kit.sample` give these replies, one list per call, in the order of the calls."""
    import rlhf_kit as kit

    turns, original = iter(replies), kit.sample

    def fake(lm: Any, prompts: Any, max_new_tokens: int, **_: Any) -> list[list[int]]:
        return [list(reply) for reply in next(turns)]

    kit.sample = fake
    try:
        yield
    finally:
        kit.sample = original
