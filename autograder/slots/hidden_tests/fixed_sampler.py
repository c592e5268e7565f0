"""Make the kit's sampler return given replies, so that two programs can be compared on the same rollouts.

This is used in the grader's process only, around code of this project.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def fixed_rollouts(rollouts: Sequence[tuple[list[list[int]], list[list[int]]]]) -> Iterator[None]:
    """Let each call of `kit.rollout` return the next of these (prompts, replies), whatever its arguments are.

    A wrong loop of the library then sees the very rollouts that the student's loop sampled.
    """
    import rlhf_kit as kit

    turns, original = iter(rollouts), kit.rollout

    def fixed(*_: Any, **__: Any) -> kit.Rollout:
        prompts, replies = next(turns)
        return kit.lay_out(prompts, replies)

    kit.rollout = fixed
    try:
        yield
    finally:
        kit.rollout = original


@contextmanager
def fixed_samples(replies: Sequence[list[list[int]]]) -> Iterator[None]:
    """Let each call of `kit.sample` return the next of these lists of replies, whatever its arguments are."""
    import rlhf_kit as kit

    turns, original = iter(replies), kit.sample

    def fixed(*_: Any, **__: Any) -> list[list[int]]:
        return [list(reply) for reply in next(turns)]

    kit.sample = fixed
    try:
        yield
    finally:
        kit.sample = original
