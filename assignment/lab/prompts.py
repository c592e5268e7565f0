"""Questions of the lab world, of eight kinds, each with the truth that the gold reward needs.

A question's key names what is asked (kind, animals, attribute) whatever its wording. The hash of the key decides its
partition: student or grader, train or held out. So held-out prompts ask for combinations that training never asks for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from rlhf_kit.lexicon import ATTRIBUTES

from .phrasing import ACTS, CHECKS, COMPARISONS, DESCRIPTIONS, GROUPS, LISTS, QUESTIONS, REQUESTS, statement

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from .world import Partition, World

# How often each kind is asked. "unknown" and "unsafe" are frequent, so that a model can learn honesty and harmlessness.
WEIGHTS = {
    "fact": 0.16,
    "yesno": 0.10,
    "describe": 0.10,
    "compare": 0.10,
    "list": 0.10,
    "context": 0.12,
    "unknown": 0.16,
    "unsafe": 0.16,
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
class Question:
    """A question with its truth. key: what is asked, whatever the wording. history: earlier turns of the dialogue.
    others: words that wrong replies use. The other fields are those of `rlhf_kit.gold`'s prompt record."""

    kind: str
    key: str
    instruction: str
    subject: str
    attribute: str
    answer: list[str]
    context: str = ""
    history: str = ""
    others: dict[str, str] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """Return the dialogue up to and including its last `Assistant:`."""
        context = f"\n\n{self.context}" if self.context else ""
        return f"{self.history}\n\nHuman: {self.instruction}{context}\n\nAssistant:"

    @property
    def record(self) -> dict[str, object]:
        """Return the prompt record that `rlhf_kit.gold` reads."""
        return {
            "prompt": self.prompt,
            **{k: v for k, v in asdict(self).items() if k in ("kind", "subject", "attribute", "answer")},
        }


def draw_question(partition: Partition, rng: random.Random, kind: str | None = None) -> Question:
    """Draw a question whose key lies in the partition. kind: drawn by WEIGHTS if it is None."""
    world = partition.world
    kind = kind or rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    strangers = world.strangers(partition.part, partition.split, rng.random())
    while True:
        candidate = MAKERS[kind](world, rng, strangers)
        # Questions about a stranger lie in the partition already: their keys are names that were drawn from it.
        if kind in ("unknown", "context") or partition.holds(candidate.key):
            return candidate


def draw_questions(
    partition: Partition, n: int, seed: object, *, distinct: bool = False, multi_turn: float = 0.15
) -> list[Question]:
    """Draw n questions; a share `multi_turn` of them follows an earlier turn. distinct: no prompt occurs twice."""
    rng = partition.rng("asks", seed)  # this word seeds the shipped data: another one would draw other questions
    seen: set[str] = set()
    out: list[Question] = []
    while len(out) < n:
        one = draw_question(partition, rng)
        if one.kind != "context" and rng.random() < multi_turn:
            one = replace(one, history=earlier_turn(partition, rng))
        if not (distinct and one.prompt in seen):
            seen.add(one.prompt)
            out.append(one)
    return out


def earlier_turn(partition: Partition, rng: random.Random) -> str:
    """Write a question about a known animal and its right answer, as an earlier turn of the dialogue. It is one that
    training may ask, whatever the partition's split: a turn that answered a held-out question would give it away."""
    one = draw_question(replace(partition, split="train"), rng, "fact")
    facts = {one.attribute: one.answer[0]}
    return f"\n\nHuman: {one.instruction}\n\nAssistant: {statement(one.subject, facts)}"


def _fact(world: World, rng: random.Random, _: Iterator[str]) -> Question:
    a, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    question = rng.choice(QUESTIONS[attribute]).format(a=a)
    return Question("fact", f"fact {a} {attribute}", question, a, attribute, [world.animals[a][attribute]])


def _yesno(world: World, rng: random.Random, _: Iterator[str]) -> Question:
    a, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    truth = world.animals[a][attribute]
    asked = truth if rng.random() < 0.5 else rng.choice([v for v in ATTRIBUTES[attribute] if v != truth])
    return Question(
        "yesno",
        f"yesno {a} {attribute} {asked}",
        rng.choice(CHECKS[attribute]).format(a=a, v=asked),
        a,
        attribute,
        ["yes" if asked == truth else "no", truth],
        others={} if asked == truth else {"asked": asked},
    )


def _describe(world: World, rng: random.Random, _: Iterator[str]) -> Question:
    a, pair = rng.choice(list(world.animals)), sorted(rng.sample(list(ATTRIBUTES), 2))
    question = rng.choice(DESCRIPTIONS)
    return Question(
        "describe",
        f"describe {a} {pair}",
        question.format(*pair, a),
        a,
        ",".join(pair),
        [world.animals[a][p] for p in pair],
    )


def _compare(world: World, rng: random.Random, strangers: Iterator[str]) -> Question:
    a, b = rng.sample(list(world.animals), 2)
    bigger = world.bigger(a, b)
    if bigger is None:
        return _compare(world, rng, strangers)
    question = rng.choice(COMPARISONS)
    return Question(
        "compare",
        f"compare {sorted((a, b))}",
        question.format(a, b),
        a,
        "size",
        [bigger],
        others={"smaller": b if bigger == a else a},
    )


def _list(world: World, rng: random.Random, _: Iterator[str]) -> Question:
    a, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    value = world.animals[a][attribute]
    question = rng.choice(LISTS).format(a=a, group=GROUPS[attribute].format(v=value))
    others = [name for name in world.owners(attribute, value) if name != a]
    return Question("list", f"list {a} {attribute}", question, a, attribute, others)


def _context(_: World, rng: random.Random, strangers: Iterator[str]) -> Question:
    name, other = next(strangers), next(strangers)
    told = {a: rng.choice(ATTRIBUTES[a]) for a in rng.sample(list(ATTRIBUTES), 3)}
    attribute = rng.choice(list(told))
    second = _second_animal(told, attribute, rng) if rng.random() < 0.5 else {}
    sentences = [statement(name, {a: v}) for a, v in told.items()] + [
        statement(other, {a: v}) for a, v in second.items()
    ]
    rng.shuffle(sentences)
    return Question(
        "context",
        f"name {name}",
        rng.choice(QUESTIONS[attribute]).format(a=name),
        name,
        attribute,
        [told[attribute]],
        context=" ".join(sentences),
        others={"confused": second[attribute]} if second else {},
    )


def _second_animal(told: dict[str, str], attribute: str, rng: random.Random) -> dict[str, str]:
    """Draw one or two facts of a second animal in a passage. It differs from the first in the attribute that is asked
    for, so that the right name has to be read and not just a value."""
    chosen = sorted({attribute, rng.choice(list(ATTRIBUTES))})
    return {a: rng.choice([v for v in ATTRIBUTES[a] if v != told.get(a)]) for a in chosen}


def _unknown(_: World, rng: random.Random, strangers: Iterator[str]) -> Question:
    name, attribute = next(strangers), rng.choice(list(ATTRIBUTES))
    return Question("unknown", f"name {name}", rng.choice(QUESTIONS[attribute]).format(a=name), name, attribute, [])


def _unsafe(world: World, rng: random.Random, _: Iterator[str]) -> Question:
    a, act = rng.choice(list(world.animals)), rng.choice(ACTS)
    return Question(
        "unsafe", f"unsafe {a} {act}", rng.choice(REQUESTS).format(act=act, a=a), a, "", [], others={"act": act}
    )


MAKERS: dict[str, Callable[[World, random.Random, Iterator[str]], Question]] = {
    "fact": _fact,
    "yesno": _yesno,
    "describe": _describe,
    "compare": _compare,
    "list": _list,
    "context": _context,
    "unknown": _unknown,
    "unsafe": _unsafe,
}
