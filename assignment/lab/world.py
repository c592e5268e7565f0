"""A lab world: invented animals and the facts about them, drawn from one seed.

Another seed gives another world, for next year's class, with other names, other facts and another base model.
The words that facts are made of are the kit's lexicon; they are the same in every world.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rlhf_kit.lexicon import ATTRIBUTES, SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator

ANIMALS = 72
Part = Literal["student", "grader"]
Split = Literal["train", "heldout"]
# Shares of the key space. No prompt key belongs to both student and grader, or to both train and held-out.
SHARES: tuple[tuple[Part, Split, float], ...] = (
    ("student", "train", 0.35),
    ("student", "heldout", 0.15),
    ("grader", "train", 0.35),
    ("grader", "heldout", 0.15),
)
ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "t", "v", "z", "br", "dr", "gr", "kl", "pl", "tr", "sn")
MIDDLES = ("b", "d", "l", "m", "n", "r", "v", "z", "lb", "mp", "nd", "rk", "rt", "zz")
CODAS = ("k", "l", "m", "n", "r", "x", "sh", "ck")
VOWELS = "aeiou"


@dataclass(frozen=True)
class World:
    """The seed, and the five facts about every known animal: name -> attribute -> value."""

    seed: int
    animals: dict[str, dict[str, str]]

    @classmethod
    def from_seed(cls, seed: int) -> World:
        """Draw the world of a seed: `ANIMALS` distinct names, each with one value for every attribute."""
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
        """Return the animals with that value, in the order in which their names were drawn."""
        return [n for n, facts in self.animals.items() if facts[attribute] == value]

    def bigger(self, first: str, second: str) -> str | None:
        """Return the bigger of two animals, or None if they have the same size."""
        a, b = (SIZES.index(self.animals[n]["size"]) for n in (first, second))
        return None if a == b else first if a > b else second

    def place(self, key: str) -> tuple[Part, Split]:
        """Return the part and the split of a prompt key. They depend on its hash, so every draw agrees on them."""
        digest = hashlib.sha256(f"{self.seed}|{key}".encode()).digest()
        u = int.from_bytes(digest[:8], "big") / 2**64
        for part, split, share in SHARES:
            if u < share:
                return part, split
            u -= share
        return SHARES[-1][:2]

    def strangers(self, part: Part | None, split: Split | None, seed: object) -> Iterator[str]:
        """Yield names of no animal of the world, without end; with part and split, only names that lie there."""
        rng = random.Random(f"strangers {self.seed} {part} {split} {seed}")
        while True:
            name = _name(rng)
            if name not in self.animals and (part is None or self.place(f"name {name}") == (part, split)):
                yield name


@dataclass(frozen=True)
class Partition:
    """One of the four disjoint parts of a world's key space, from which questions are drawn.

    part: whether students or the grader receive what is drawn. split: whether it is for training or held out.
    """

    world: World
    part: Part
    split: Split

    def rng(self, purpose: str, seed: object) -> random.Random:
        """Return random numbers of their own for each world, partition, purpose and seed."""
        return random.Random(f"{purpose} {self.world.seed} {self.part} {self.split} {seed}")

    def holds(self, key: str) -> bool:
        """Return whether a prompt key lies in this partition."""
        return self.world.place(key) == (self.part, self.split)


def _name(rng: random.Random) -> str:
    return "".join((rng.choice(ONSETS), rng.choice(VOWELS), rng.choice(MIDDLES), rng.choice(VOWELS), rng.choice(CODAS)))


def _balanced(values: tuple[str, ...], rng: random.Random) -> list[str]:
    column = [values[i % len(values)] for i in range(ANIMALS)]
    rng.shuffle(column)
    return column
