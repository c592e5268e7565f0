"""A lab world: invented animals and the facts about them, drawn from one seed.

Another seed is another world, for next year's class: other names, other facts, another base model. The
words that facts are made of are the kit's lexicon and stay.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rlhf_kit.lexicon import ATTRIBUTES, SIZES

ANIMALS = 72
Part = Literal["student", "grader"]
Split = Literal["train", "heldout"]
# Shares of the key space. Student and grader never share a prompt key, nor train and held-out.
SHARES: tuple[tuple[Part, Split, float], ...] = (
    ("student", "train", 0.35),
    ("student", "heldout", 0.15),
    ("grader", "train", 0.35),
    ("grader", "heldout", 0.15),
)
ONSETS = (
    "b",
    "d",
    "f",
    "g",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "t",
    "v",
    "z",
    "br",
    "dr",
    "gr",
    "kl",
    "pl",
    "tr",
    "sn",
)
MIDDLES = ("b", "d", "l", "m", "n", "r", "v", "z", "lb", "mp", "nd", "rk", "rt", "zz")
CODAS = ("k", "l", "m", "n", "r", "x", "sh", "ck")
VOWELS = "aeiou"


@dataclass(frozen=True)
class World:
    """seed, and for every known animal its five facts: name -> attribute -> value."""

    seed: int
    animals: dict[str, dict[str, str]]

    @classmethod
    def from_seed(cls, seed: int) -> World:
        """The world of that seed: `ANIMALS` distinct names, each with one value for every attribute."""
        rng = random.Random(f"world {seed}")
        names: list[str] = []
        while len(names) < ANIMALS:
            name = _name(rng)
            if name not in names:
                names.append(name)
        # each attribute's values occur equally often, so that no value can be guessed
        columns = {a: _balanced(values, rng) for a, values in ATTRIBUTES.items()}
        return cls(seed, {n: {a: columns[a][i] for a in ATTRIBUTES} for i, n in enumerate(names)})

    def owners(self, attribute: str, value: str) -> list[str]:
        """The animals with that value, in order of their names' drawing."""
        return [n for n, facts in self.animals.items() if facts[attribute] == value]

    def bigger(self, first: str, second: str) -> str | None:
        """The bigger of two animals; None if they are of one size."""
        a, b = (SIZES.index(self.animals[n]["size"]) for n in (first, second))
        return None if a == b else first if a > b else second

    def place(self, key: str) -> tuple[Part, Split]:
        """The part and split that a prompt key belongs to, by hash: the same for every draw."""
        digest = hashlib.sha256(f"{self.seed}|{key}".encode()).digest()
        u = int.from_bytes(digest[:8], "big") / 2**64
        for part, split, share in SHARES:
            if u < share:
                return part, split
            u -= share
        return SHARES[-1][:2]

    def strangers(self, part: Part | None, split: Split | None, seed: object) -> Iterator[str]:
        """Endless names outside the world; with part and split, only names that belong there."""
        rng = random.Random(f"strangers {self.seed} {part} {split} {seed}")
        while True:
            name = _name(rng)
            if name not in self.animals and (part is None or self.place(f"name {name}") == (part, split)):
                yield name


def _name(rng: random.Random) -> str:
    return "".join((rng.choice(ONSETS), rng.choice(VOWELS), rng.choice(MIDDLES), rng.choice(VOWELS), rng.choice(CODAS)))


def _balanced(values: tuple[str, ...], rng: random.Random) -> list[str]:
    column = [values[i % len(values)] for i in range(ANIMALS)]
    rng.shuffle(column)
    return column
