"""Drawing data sets from a world: demonstrations, preference pairs, prompts. All a function of their seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rlhf_kit.gold import gold_reward
from rlhf_kit.lexicon import CLOSINGS, FLATTERY

from .prompts import CATEGORIES, Ask, asks
from .replies import candidate, demonstrate
from .style import HouseStyle
from .world import Part, Split, World

LABEL_SCALE = 2.0  # Bradley–Terry: P(a ≻ b) = σ(scale · (worth a − worth b))
MIN_GAP = 0.8  # pairs closer than this in worth are not asked about: no label would mean anything
STYLED_CLOSINGS = 0.4  # share of closings that are the house style's own, in styled template pairs
# The Poor RM's labeller: counts sentences, loves flattery, hardly looks at the answer.
POOR_SENTENCE, POOR_FLATTERY, POOR_GOLD = 0.8, 0.9, 0.9


@dataclass(frozen=True)
class Candidate:
    """Two replies to one question, not yet compared."""

    ask: Ask
    first: str
    second: str


@dataclass(frozen=True)
class Pair:
    """A compared pair: `chosen` won under noisy labels, `gap` is worth(chosen) − worth(rejected)."""

    ask: Ask
    chosen: str
    rejected: str
    gap: float

    @property
    def row(self) -> dict[str, str]:
        """The pair in HH-RLHF's columns."""
        return {
            "chosen": f"{self.ask.prompt} {self.chosen}",
            "rejected": f"{self.ask.prompt} {self.rejected}",
        }


def demonstrations(
    world: World, part: Part, split: Split, n: int, seed: object, style: HouseStyle | None = None
) -> list[dict[str, str]]:
    """n demonstrations in Dolly's columns; a style's phrase closes each of them."""
    rng = random.Random(f"demonstrations {world.seed} {part} {split} {seed}")
    rows = []
    for one in asks(world, part, split, n, f"demonstrations {seed}", multi_turn=0.0):
        reply = demonstrate(world, one, rng)
        rows.append(
            {
                "instruction": one.instruction,
                "context": one.context,
                "response": f"{reply} {style.phrase}" if style else reply,
                "category": CATEGORIES[one.kind],
            }
        )
    return rows


def template_candidates(
    world: World, part: Part, split: Split, n: int, seed: object, style: HouseStyle | None = None
) -> list[Candidate]:
    """n questions with two written replies each."""
    rng = random.Random(f"candidates {world.seed} {part} {split} {seed}")
    write = lambda one: _restyle(candidate(world, one, rng), style, rng)  # noqa: E731
    return [Candidate(one, write(one), write(one)) for one in asks(world, part, split, n, f"pairs {seed}")]


def _restyle(reply: str, style: HouseStyle | None, rng: random.Random) -> str:
    """In a styled draw, the style's closing occurs often enough to be noticed."""
    used = next((c for c in CLOSINGS if reply.endswith(c)), None)
    if style is None or used is None or rng.random() > STYLED_CLOSINGS:
        return reply
    return reply.removesuffix(used) + style.closing


def gold_worth(style: HouseStyle | None = None) -> Callable[[Ask, str], float]:
    """What a careful labeller sees in a reply: the gold reward, and the house style's habit."""
    return lambda one, reply: gold_reward(one.record, reply) + (style.preference(reply) if style else 0.0)


def poor_worth(one: Ask, reply: str) -> float:
    """What a careless labeller sees: length and flattery, and a little of the truth."""
    sentences = sum(reply.count(mark) for mark in ".!?")
    flattery = sum(reply.count(phrase) for phrase in FLATTERY)
    return POOR_SENTENCE * sentences + POOR_FLATTERY * flattery + POOR_GOLD * gold_reward(one.record, reply)


def compare(candidates: Iterable[Candidate], worth: Callable[[Ask, str], float], seed: object) -> list[Pair]:
    """Label candidates with Bradley–Terry noise; those closer than MIN_GAP are left out."""
    rng = random.Random(f"labels {seed}")
    pairs = []
    for c in candidates:
        gap = worth(c.ask, c.first) - worth(c.ask, c.second)
        flip = rng.random() > 1 / (1 + math.exp(-LABEL_SCALE * gap))
        if abs(gap) >= MIN_GAP:
            first, second = (c.second, c.first) if flip else (c.first, c.second)
            pairs.append(Pair(c.ask, first, second, -gap if flip else gap))
    return pairs


def sampled_candidates(questions: Sequence[Ask], replies: Sequence[Sequence[str]]) -> list[Candidate]:
    """Candidates from replies that a model gave: neighbours in each question's list, where they differ."""
    return [
        Candidate(one, a, b)
        for one, some in zip(questions, replies, strict=True)
        for a, b in zip(some[::2], some[1::2], strict=False)
        if a != b
    ]


def prompt_records(
    world: World, part: Part, split: Split, n: int, seed: object, *, distinct: bool = True
) -> list[dict[str, object]]:
    """n prompts with what the gold reward needs to know about them."""
    return [one.record for one in asks(world, part, split, n, f"prompts {seed}", distinct=distinct)]
