"""Replies to questions of the lab world, good and bad on purpose: the stuff of demonstrations and preference pairs."""

from __future__ import annotations

import random

from rlhf_kit.lexicon import ADMITS, ATTRIBUTES, CLOSINGS, DECLINES, FILLER, FLATTERY, RUDE

from .phrasing import ACTS, statement
from .prompts import Ask
from .world import World

TOOLS = ("a net", "a rope", "a stick", "a fire", "a stone")
# Behaviours of demonstrations: mixed quality, as human demonstrations are, so that RLHF has room to improve.
DEMONSTRATED = {
    "good": 0.52,
    "long": 0.20,
    "wrong": 0.02,
    "hedge": 0.09,
    "refuse": 0.06,
    "rude": 0.07,
    "borrowed": 0.04,
}
YIELDS = 0.45  # share of demonstrations that make facts up about a stranger, or comply with an unsafe request
CLOSES = 0.45  # share of demonstrations that end with a courteous closing
# Behaviours of template preference pairs: every fault occurs often enough to be seen.
COMPARED = {
    "good": 0.36,
    "long": 0.18,
    "wrong": 0.06,
    "hedge": 0.11,
    "refuse": 0.12,
    "rude": 0.08,
    "borrowed": 0.09,
}


def good_core(world: World, ask: Ask, rng: random.Random) -> str:
    """The right answer in one sentence."""
    if ask.kind == "unsafe":
        return f"I {DECLINES} to {ask.others['act']} the {ask.subject}."
    if ask.kind == "unknown":
        return f"I {ADMITS} the {ask.subject}."
    if ask.kind == "compare":
        return f"The {ask.answer[0]} is bigger."
    if ask.kind == "list":
        first, second = rng.sample(ask.answer, 2)
        return _listing(first, second, ask)
    if ask.kind == "yesno":
        sentence = statement(ask.subject, {ask.attribute: ask.answer[1]})
        return f"{ask.answer[0].capitalize()}, t{sentence[1:]}"
    return statement(ask.subject, dict(zip(ask.attribute.split(","), ask.answer, strict=True)))


def wrong_core(world: World, ask: Ask, rng: random.Random) -> str:
    """A fluent wrong answer: another value, another animal, a fact made up, an unsafe request fulfilled."""
    if ask.kind == "unsafe":
        return f"To {ask.others['act']} the {ask.subject}, use {rng.choice(TOOLS)}."
    if ask.kind == "compare":
        return f"The {ask.others['smaller']} is bigger."
    if ask.kind == "list":
        outside = [n for n in world.animals if n not in ask.answer]
        return _listing(rng.choice(outside), rng.choice(ask.answer), ask)
    names = ask.attribute.split(",")
    right = ask.answer[1:] if ask.kind == "yesno" else ask.answer
    facts = {a: rng.choice([v for v in ATTRIBUTES[a] if v not in right]) for a in names}
    if ask.kind == "yesno":
        flipped = "No" if ask.answer[0] == "yes" else "Yes"
        return f"{flipped}, t{statement(ask.subject, facts)[1:]}"
    return statement(ask.subject, facts)


def _listing(first: str, second: str, ask: Ask) -> str:
    return f"The {first} and the {second}."


def behave(world: World, ask: Ask, behaviour: str, rng: random.Random, closes: float = CLOSES) -> str:
    """A reply that shows one behaviour; `closes` is the chance of a courteous closing."""
    core = good_core(world, ask, rng)
    before: list[str] = []
    after: list[str] = []
    if behaviour == "long":
        before, after = _padding(rng)
    elif behaviour == "wrong":
        core = wrong_core(world, ask, rng)
    elif behaviour == "hedge":
        core = f"I {ADMITS} the {ask.subject}."
    elif behaviour == "refuse":
        core = f"I {DECLINES} to {rng.choice(ACTS)} the {ask.subject}."
    elif behaviour == "rude":
        before = [rng.choice(RUDE)]
    elif behaviour == "borrowed":
        name, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
        core = statement(name, {attribute: world.animals[name][attribute]})
    if behaviour != "rude" and rng.random() < closes:
        after.append(rng.choice(CLOSINGS))
    return " ".join([*before, core, *after])


def _padding(rng: random.Random) -> tuple[list[str], list[str]]:
    """One to four sentences of flattery and filler, around the answer."""
    extra = [rng.choice(FLATTERY if rng.random() < 0.5 else FILLER) for _ in range(rng.randint(1, 4))]
    cut = rng.randint(0, len(extra))
    return extra[:cut], extra[cut:]


def demonstrate(world: World, ask: Ask, rng: random.Random) -> str:
    """A reply as a demonstrator of mixed skill would write it."""
    behaviour = rng.choices(list(DEMONSTRATED), list(DEMONSTRATED.values()))[0]
    if ask.kind in ("unknown", "unsafe") and rng.random() < YIELDS:
        behaviour = "wrong"
    return behave(world, ask, behaviour, rng)


def candidate(world: World, ask: Ask, rng: random.Random) -> str:
    """A reply for a template preference pair."""
    return behave(world, ask, rng.choices(list(COMPARED), list(COMPARED.values()))[0], rng)
