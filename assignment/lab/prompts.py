"""Prompts of the lab world: eight kinds of question, each with the truth that the gold reward needs.

A key names what is asked (kind, animals, attribute), not how. Keys are placed by hash into student or
grader, train or held-out, so held-out prompts are combinations that no training prompt has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from rlhf_kit.lexicon import ATTRIBUTES

from .phrasing import ACTS, CHECKS, LISTS, QUESTIONS, REQUESTS, statement
from .world import Part, Split, World

# How often each kind is asked: enough of the rare virtues (honesty, harmlessness) to learn them.
WEIGHTS = {
    "fact": 0.24,
    "yesno": 0.05,
    "describe": 0.12,
    "compare": 0.12,
    "list": 0.03,
    "context": 0.08,
    "unknown": 0.18,
    "unsafe": 0.18,
}
CATEGORIES = {
    "fact": "open_qa",
    "yesno": "classification",
    "describe": "general_qa",
    "compare": "general_qa",
    "list": "brainstorming",
    "context": "closed_qa",
    "unknown": "open_qa",
    "unsafe": "general_qa",
}


@dataclass(frozen=True)
class Ask:
    """A question with its truth. `key`: what is asked. The rest as in `rlhf_kit.gold`'s prompt record."""

    kind: str
    key: str
    instruction: str
    subject: str
    attribute: str
    answer: list[str]
    context: str = ""
    history: str = ""
    others: dict[str, str] = field(default_factory=dict)  # what wrong replies may borrow

    @property
    def prompt(self) -> str:
        """The dialogue up to and including the last `Assistant:`."""
        context = f"\n\n{self.context}" if self.context else ""
        return f"{self.history}\n\nHuman: {self.instruction}{context}\n\nAssistant:"

    @property
    def record(self) -> dict[str, object]:
        """The prompt record that `rlhf_kit.gold` reads."""
        return {
            "prompt": self.prompt,
            **{k: v for k, v in asdict(self).items() if k in ("kind", "subject", "attribute", "answer")},
        }


def ask(world: World, part: Part, split: Split, rng: random.Random, kind: str | None = None) -> Ask:
    """One random question whose key lies in (part, split)."""
    kind = kind or rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    strangers = world.strangers(part, split, rng.random())
    while True:
        candidate = MAKERS[kind](world, rng, strangers)
        # a stranger's name is placed already; its key needs no second draw
        if kind in ("unknown", "context") or world.place(candidate.key) == (part, split):
            return candidate


def asks(
    world: World,
    part: Part,
    split: Split,
    n: int,
    seed: object,
    *,
    distinct: bool = False,
    multi_turn: float = 0.15,
) -> list[Ask]:
    """n questions; a share `multi_turn` of them follows an earlier turn of small talk. distinct: no prompt twice."""
    rng = random.Random(f"asks {world.seed} {part} {split} {seed}")
    seen: set[str] = set()
    out: list[Ask] = []
    while len(out) < n:
        one = ask(world, part, split, rng)
        if one.kind != "context" and rng.random() < multi_turn:
            one = Ask(**{**asdict(one), "history": earlier_turn(world, rng)})
        if not (distinct and one.prompt in seen):
            seen.add(one.prompt)
            out.append(one)
    return out


def earlier_turn(world: World, rng: random.Random) -> str:
    """A question about a known animal and its right answer, as a turn that came before."""
    name, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    question = rng.choice(QUESTIONS[attribute]).format(a=name)
    return f"\n\nHuman: {question}\n\nAssistant: {statement(name, {attribute: world.animals[name][attribute]})}"


def _fact(world: World, rng: random.Random, _: Iterator[str]) -> Ask:
    a, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    question = rng.choice(QUESTIONS[attribute]).format(a=a)
    return Ask("fact", f"fact {a} {attribute}", question, a, attribute, [world.animals[a][attribute]])


def _yesno(world: World, rng: random.Random, _: Iterator[str]) -> Ask:
    a, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    truth = world.animals[a][attribute]
    asked = truth if rng.random() < 0.5 else rng.choice([v for v in ATTRIBUTES[attribute] if v != truth])
    return Ask(
        "yesno",
        f"yesno {a} {attribute} {asked}",
        CHECKS[attribute].format(a=a, v=asked),
        a,
        attribute,
        ["yes" if asked == truth else "no", truth],
    )


def _describe(world: World, rng: random.Random, _: Iterator[str]) -> Ask:
    a, pair = rng.choice(list(world.animals)), sorted(rng.sample(list(ATTRIBUTES), 2))
    question = rng.choice(("Describe the {0} and {1} of the {2}.", "What are the {0} and {1} of the {2}?"))
    return Ask(
        "describe",
        f"describe {a} {pair}",
        question.format(*pair, a),
        a,
        ",".join(pair),
        [world.animals[a][p] for p in pair],
    )


def _compare(world: World, rng: random.Random, strangers: Iterator[str]) -> Ask:
    a, b = rng.sample(list(world.animals), 2)
    bigger = world.bigger(a, b)
    if bigger is None:
        return _compare(world, rng, strangers)
    question = rng.choice(("Which is bigger, the {0} or the {1}?", "Tell me which is bigger, the {0} or the {1}."))
    return Ask(
        "compare",
        f"compare {sorted((a, b))}",
        question.format(a, b),
        a,
        "size",
        [bigger],
        others={"smaller": b if bigger == a else a},
    )


def _list(world: World, rng: random.Random, _: Iterator[str]) -> Ask:
    attribute = rng.choice(list(ATTRIBUTES))
    value = rng.choice(ATTRIBUTES[attribute])
    return Ask(
        "list",
        f"list {value}",
        LISTS[attribute].format(v=value),
        value,
        attribute,
        world.owners(attribute, value),
    )


def _context(world: World, rng: random.Random, strangers: Iterator[str]) -> Ask:
    name, chosen = next(strangers), rng.sample(list(ATTRIBUTES), 3)
    facts = {a: rng.choice(ATTRIBUTES[a]) for a in chosen}
    attribute = rng.choice(chosen)
    question = rng.choice(QUESTIONS[attribute]).format(a=name)
    context = " ".join(statement(name, {a: v}) for a, v in facts.items())
    return Ask("context", f"name {name}", question, name, attribute, [facts[attribute]], context=context)


def _unknown(world: World, rng: random.Random, strangers: Iterator[str]) -> Ask:
    name, attribute = next(strangers), rng.choice(list(ATTRIBUTES))
    return Ask("unknown", f"name {name}", rng.choice(QUESTIONS[attribute]).format(a=name), name, attribute, [])


def _unsafe(world: World, rng: random.Random, _: Iterator[str]) -> Ask:
    a, act = rng.choice(list(world.animals)), rng.choice(ACTS)
    return Ask(
        "unsafe",
        f"unsafe {a} {act}",
        rng.choice(REQUESTS).format(act=act, a=a),
        a,
        "",
        [],
        others={"act": act},
    )


MAKERS: dict[str, Callable[[World, random.Random, Iterator[str]], Ask]] = {
    "fact": _fact,
    "yesno": _yesno,
    "describe": _describe,
    "compare": _compare,
    "list": _list,
    "context": _context,
    "unknown": _unknown,
    "unsafe": _unsafe,
}
