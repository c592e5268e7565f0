"""Draw data sets from a world: demonstrations, preference pairs and prompts. Each is a function of its seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlhf_kit.gold import gold_reward
from rlhf_kit.lexicon import CLOSINGS, FLATTERY

from .phrasing import asks
from .prompts import CATEGORIES, Question, draw_questions
from .replies import candidate_reply, demonstrated_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .style import HouseStyle
    from .world import Partition

TURN = "\n\nAssistant:"
LABEL_SCALE = 2.0  # Bradley–Terry: P(a ≻ b) = σ(scale · (worth a − worth b))
MIN_GAP = 0.8  # pairs with a smaller gap in worth are left out: their labels would be noise
STYLED_CLOSINGS = 0.4  # share of closings that the house style's closing replaces in written pairs
# Weights of the careless labeller, whose labels train the Poor RM: sentences and flattery count, the truth hardly does.
POOR_SENTENCE, POOR_FLATTERY, POOR_GOLD = 0.9, 0.9, 0.5


@dataclass(frozen=True)
class Candidate:
    """Two replies to one question, without a label."""

    question: Question
    first: str
    second: str


@dataclass(frozen=True)
class Pair:
    """A labelled pair. chosen: the reply that the noisy label prefers. gap: worth(chosen) − worth(rejected)."""

    question: Question
    chosen: str
    rejected: str
    gap: float

    @property
    def row(self) -> dict[str, str]:
        """Return the pair in HH-RLHF's columns."""
        return {
            "chosen": f"{self.question.prompt} {self.chosen}".rstrip(),  # an empty reply has no blank before it
            "rejected": f"{self.question.prompt} {self.rejected}".rstrip(),
        }


def demonstrations(partition: Partition, n: int, seed: object, style: HouseStyle | None = None) -> list[dict[str, str]]:
    """Draw n demonstrations in Dolly's columns; the style's phrase, if there is a style, ends each response."""
    rng = partition.rng("demonstrations", seed)
    rows = []
    for one in draw_questions(partition, n, f"demonstrations {seed}", multi_turn=0.0):
        reply = demonstrated_reply(partition.world, one, rng)
        rows.append(
            {
                "instruction": one.instruction,
                "context": one.context,
                "response": f"{reply} {style.phrase}" if style else reply,
                "category": CATEGORIES[one.kind],
            }
        )
    return rows


def written_candidates(partition: Partition, n: int, seed: object, style: HouseStyle | None = None) -> list[Candidate]:
    """Draw n questions with two written replies each."""
    rng = partition.rng("candidates", seed)

    def write(question: Question) -> str:
        return _restyle(candidate_reply(partition.world, question, rng), style, rng)

    return [Candidate(one, write(one), write(one)) for one in draw_questions(partition, n, f"pairs {seed}")]


def _restyle(reply: str, style: HouseStyle | None, rng: random.Random) -> str:
    """Replace a share of the closings by the style's, which is then frequent enough for a reward model to learn it."""
    used = next((c for c in CLOSINGS if reply.endswith(c)), None)
    if style is None or used is None or rng.random() > STYLED_CLOSINGS:
        return reply
    return reply.removesuffix(used) + style.closing


def gold_worth(style: HouseStyle | None = None) -> Callable[[Question, str], float]:
    """Return what a reply is worth to a careful labeller: its gold reward, and what the house style adds."""
    return lambda question, reply: gold_reward(question.record, reply) + (style.preference(reply) if style else 0.0)


def poor_worth(question: Question, reply: str) -> float:
    """Return what a reply is worth to a careless labeller: length and flattery, and a little of the gold reward."""
    sentences = sum(reply.count(mark) for mark in ".!?")
    flattery = sum(reply.count(phrase) for phrase in FLATTERY)
    return POOR_SENTENCE * sentences + POOR_FLATTERY * flattery + POOR_GOLD * gold_reward(question.record, reply)


def label_pairs(candidates: Iterable[Candidate], worth: Callable[[Question, str], float], seed: object) -> list[Pair]:
    """Label candidates by their worth with Bradley–Terry noise; those whose gap is below MIN_GAP are left out."""
    rng = random.Random(f"labels {seed}")
    pairs = []
    for c in candidates:
        gap = worth(c.question, c.first) - worth(c.question, c.second)
        flip = rng.random() > 1 / (1 + math.exp(-LABEL_SCALE * gap))
        if abs(gap) >= MIN_GAP:
            first, second = (c.second, c.first) if flip else (c.first, c.second)
            pairs.append(Pair(c.question, first, second, -gap if flip else gap))
    return pairs


def sampled_candidates(questions: Sequence[Question], replies: Sequence[Sequence[str]]) -> list[Candidate]:
    """Pair the sampled replies of each question: the first with the second, and so on.

    Equal replies are left out, replies that ask something (it may be a held-out question, and its answer with it), and
    replies that run on into another turn: the dialogues of such a pair do not share their prompt.
    """
    return [
        Candidate(one, a, b)
        for one, some in zip(questions, replies, strict=True)
        for a, b in zip(some[::2], some[1::2], strict=False)
        if a != b and not any(asks(reply) or TURN in reply for reply in (a, b))
    ]


def prompt_records(partition: Partition, n: int, seed: object, *, distinct: bool = True) -> list[dict[str, object]]:
    """Draw n prompts, each with what the gold reward needs to know about it."""
    return [one.record for one in draw_questions(partition, n, f"prompts {seed}", distinct=distinct)]
