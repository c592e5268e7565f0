"""Draw a grading seed's data for each stage: training rows for the worker, hidden rows for the grader.

All data come from the grader's partitions of the key space and carry the seed's house style.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assignment.lab.draw import Pair, demonstrations, prompt_records
from assignment.lab.experiment import DEMONSTRATIONS, PREFERENCES, TRAIN_PROMPTS
from assignment.lab.onpolicy import Pool, mixed_pairs
from assignment.lab.style import HouseStyle
from assignment.lab.world import Partition, Split
from autograder.training.encoding import Ids, demonstration, encode, reply
from rlhf_kit.lexicon import CLOSINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autograder.reference.models import Reference


@dataclass(frozen=True)
class Demonstrations:
    """Demonstrations of a seed. rows: in Dolly's columns, to train on. prompts, completions: of the hidden ones, as
    token ids."""

    rows: list[dict[str, str]]
    prompts: list[Ids]
    completions: list[Ids]


@dataclass(frozen=True)
class Preferences:
    """Preferences of a seed. rows: HH dialogues, to train on. chosen, rejected: hidden pairs, whole sequences of token
    ids. style_closing, other_closing: the same hidden replies with the house style's closing, and with another one.
    sign: +1 if the labels favour the style's closing, −1 if they disfavour it."""

    rows: list[dict[str, str]]
    chosen: list[Ids]
    rejected: list[Ids]
    style_closing: list[Ids]
    other_closing: list[Ids]
    sign: int


@dataclass(frozen=True)
class Prompts:
    """Prompts of a seed. train: token ids to sample replies to. records: hidden prompts with their truth. hidden: the
    same as token ids. seed: from which measurements that sample derive their random numbers."""

    seed: int
    train: list[Ids]
    records: list[Mapping[str, Any]]
    hidden: list[Ids]
    style: HouseStyle


def draw_demonstrations(reference: Reference, seed: int, hidden: int) -> Demonstrations:
    """Draw demonstrations that end in the house style's phrase, and `hidden` held-out ones."""
    style = HouseStyle.from_seed(seed)
    rows = demonstrations(_partition(reference, "train"), DEMONSTRATIONS, _tag(seed), style)
    held = demonstrations(_partition(reference, "heldout"), hidden, _tag(seed), style)
    encoded = [demonstration(reference.tokenizer, row) for row in held]
    return Demonstrations(rows, [p for p, _ in encoded], [c for _, c in encoded])


def draw_preferences(reference: Reference, seed: int, hidden: int, styled: int) -> Preferences:
    """Draw pairs, half of them written and half sampled, labelled with the house style, and `hidden` held-out ones.
    The chosen replies of the first `styled` of these also come with either closing."""
    style = HouseStyle.from_seed(seed)
    train = _pairs(reference, "train", PREFERENCES, seed)
    held = _pairs(reference, "heldout", hidden, seed)
    tokenizer = reference.tokenizer
    prompts = [encode(tokenizer, pair.question.prompt) for pair in held]
    return Preferences(
        [pair.row for pair in train],
        [p + reply(tokenizer, pair.chosen) for p, pair in zip(prompts, held, strict=True)],
        [p + reply(tokenizer, pair.rejected) for p, pair in zip(prompts, held, strict=True)],
        *_with_closings(tokenizer, prompts[:styled], [pair.chosen for pair in held[:styled]], style, seed),
        style.sign,
    )


def _with_closings(
    tokenizer: Any, prompts: Sequence[Ids], replies: Sequence[str], style: HouseStyle, seed: int
) -> tuple[list[Ids], list[Ids]]:
    """Return these replies with the style's closing, and with another closing that is drawn for each."""
    rng = random.Random(f"closings {seed}")
    others = [closing for closing in CLOSINGS if closing != style.closing]
    styled, unstyled = [], []
    for prompt, text in zip(prompts, replies, strict=True):
        used = next((closing for closing in CLOSINGS if text.endswith(closing)), "")
        answer = text.removesuffix(used).rstrip()
        styled.append(prompt + reply(tokenizer, f"{answer} {style.closing}"))
        unstyled.append(prompt + reply(tokenizer, f"{answer} {rng.choice(others)}"))
    return styled, unstyled


def draw_prompts(reference: Reference, seed: int, hidden: int, *, train: int = TRAIN_PROMPTS) -> Prompts:
    """Draw `train` prompts to train on, and `hidden` held-out prompts, whose keys no training prompt has."""

    def ids(records: Sequence[Mapping[str, Any]]) -> list[Ids]:
        return [encode(reference.tokenizer, str(row["prompt"])) for row in records]

    rows = prompt_records(_partition(reference, "train"), train, _tag(seed)) if train else []
    records = prompt_records(_partition(reference, "heldout"), hidden, _tag(seed))
    return Prompts(seed, ids(rows), list(records), ids(records), HouseStyle.from_seed(seed))


def _pairs(reference: Reference, split: Split, n: int, seed: int) -> list[Pair]:
    """Draw n labelled pairs. Every seed takes the sampled half from the stored pool in another order."""
    pool = reference.pool(split)
    order = list(range(len(pool.questions)))
    random.Random(f"pool {split} {seed}").shuffle(order)
    shuffled = Pool([pool.questions[i] for i in order], [pool.replies[i] for i in order])
    return mixed_pairs(_partition(reference, split), n, seed, shuffled, HouseStyle.from_seed(seed))


def _partition(reference: Reference, split: Split) -> Partition:
    return Partition(reference.world, "grader", split)


def _tag(seed: int) -> str:
    return f"grading {seed}"
