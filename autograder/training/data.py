"""What a grading seed draws for each stage: training rows for the worker, hidden rows for the grader.

All of it lies in the grader's part of the key space and carries the seed's house style.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assignment.lab.draw import demonstrations, prompt_records
from assignment.lab.experiment import DEMONSTRATIONS, PREFERENCES, TRAIN_PROMPTS
from assignment.lab.onpolicy import mixed_pairs
from assignment.lab.style import HouseStyle
from assignment.lab.world import Split
from autograder.reference.models import Reference
from autograder.training.encoding import Ids, demonstration, encode, reply
from rlhf_kit.lexicon import CLOSINGS


@dataclass(frozen=True)
class Demonstrations:
    """rows: Dolly's columns, to train on. prompts, completions: hidden ones as token ids."""

    rows: list[dict[str, str]]
    prompts: list[Ids]
    completions: list[Ids]


@dataclass(frozen=True)
class Preferences:
    """rows: HH dialogues, to train on. chosen, rejected: hidden pairs, whole sequences of token ids.

    liked, other: the same hidden replies with the house style's closing and with another closing; sign: +1 if
    the style likes its closing.
    """

    rows: list[dict[str, str]]
    chosen: list[Ids]
    rejected: list[Ids]
    liked: list[Ids]
    other: list[Ids]
    sign: int


@dataclass(frozen=True)
class Prompts:
    """train: token ids to sample from. records: hidden prompts with their truth; hidden: the same as ids."""

    train: list[Ids]
    records: list[Mapping[str, Any]]
    hidden: list[Ids]
    style: HouseStyle


def draw_demonstrations(reference: Reference, seed: int, hidden: int) -> Demonstrations:
    """Demonstrations that end in the house style's phrase, and `hidden` held-out ones."""
    style = HouseStyle.from_seed(seed)
    rows = demonstrations(reference.world, "grader", "train", DEMONSTRATIONS, _tag(seed), style)
    held = demonstrations(reference.world, "grader", "heldout", hidden, _tag(seed), style)
    encoded = [demonstration(reference.tokenizer, row) for row in held]
    return Demonstrations(rows, [p for p, _ in encoded], [c for _, c in encoded])


def draw_preferences(reference: Reference, seed: int, hidden: int, styled: int) -> Preferences:
    """Pairs, half of them written and half sampled, labelled with the house style; `hidden` held-out ones, of
    which `styled` replies also come with either closing."""
    style = HouseStyle.from_seed(seed)
    train = _pairs(reference, "train", PREFERENCES, seed)
    held = _pairs(reference, "heldout", hidden, seed)
    tokenizer = reference.tokenizer
    prompts = [encode(tokenizer, pair.ask.prompt) for pair in held]
    return Preferences(
        [pair.row for pair in train],
        [p + reply(tokenizer, pair.chosen) for p, pair in zip(prompts, held, strict=True)],
        [p + reply(tokenizer, pair.rejected) for p, pair in zip(prompts, held, strict=True)],
        *_closed(tokenizer, prompts[:styled], [pair.chosen for pair in held[:styled]], style, seed),
        style.sign,
    )


def _closed(
    tokenizer: Any, prompts: Sequence[Ids], replies: Sequence[str], style: HouseStyle, seed: int
) -> tuple[list[Ids], list[Ids]]:
    """These replies with the style's closing, and with one of the others drawn for each."""
    rng = random.Random(f"closings {seed}")
    others = [closing for closing in CLOSINGS if closing != style.closing]
    liked, other = [], []
    for prompt, text in zip(prompts, replies, strict=True):
        used = next((closing for closing in CLOSINGS if text.endswith(closing)), "")
        core = text.removesuffix(used).rstrip()
        liked.append(prompt + reply(tokenizer, f"{core} {style.closing}"))
        other.append(prompt + reply(tokenizer, f"{core} {rng.choice(others)}"))
    return liked, other


def draw_prompts(reference: Reference, seed: int, hidden: int, *, train: int = TRAIN_PROMPTS) -> Prompts:
    """Training prompts, and `hidden` prompts that no training prompt shares a key with."""
    tokenizer = reference.tokenizer
    rows = prompt_records(reference.world, "grader", "train", train, _tag(seed)) if train else []
    records = prompt_records(reference.world, "grader", "heldout", hidden, _tag(seed))
    ids = lambda some: [encode(tokenizer, str(row["prompt"])) for row in some]  # noqa: E731
    return Prompts(ids(rows), list(records), ids(records), HouseStyle.from_seed(seed))


def _pairs(reference: Reference, split: Split, n: int, seed: int) -> Sequence[Any]:
    """n labelled pairs; the sampled half is another choice from the stored pool with every seed."""
    pool = reference.pool(split)
    order = list(range(len(pool.questions)))
    random.Random(f"pool {split} {seed}").shuffle(order)
    return mixed_pairs(
        reference.world,
        "grader",
        split,
        n,
        seed,
        [pool.questions[i] for i in order],
        [pool.replies[i] for i in order],
        HouseStyle.from_seed(seed),
    )


def _tag(seed: int) -> str:
    return f"grading {seed}"
