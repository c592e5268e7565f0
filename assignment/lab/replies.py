"""Written replies to questions of the lab world, good and bad on purpose, for demonstrations and preference pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlhf_kit.lexicon import ADMITS, ATTRIBUTES, CLOSINGS, DECLINES, FILLER, FLATTERY, RUDE

from .phrasing import ACTS, statement, verdict

if TYPE_CHECKING:
    import random

    from .prompts import Question
    from .world import World

STUNTED = ("empty", "cut", "short")
TOOLS = ("a net", "a rope", "a stick", "a fire", "a stone")
# Behaviours of demonstrations. Their quality is mixed, as of human demonstrations, so that RLHF can improve on it.
DEMONSTRATED = {
    "good": 0.52,
    "long": 0.20,
    "wrong": 0.02,
    "hedge": 0.09,
    "refuse": 0.06,
    "rude": 0.07,
    "borrowed": 0.04,
}
# Of questions about a stranger and unsafe requests: share whose demonstration makes facts up, or complies.
WRONG_IF_UNKNOWN_OR_UNSAFE = 0.62
CLOSING_SHARE = 0.45  # share of replies that end with a courteous closing
# Behaviours of written preference pairs. Every fault is frequent enough for a reward model to learn it.
# Empty, cut-off and over-short replies are among them: a reward model that never saw one may like it, and PPO finds
# out.
COMPARED = {
    "good": 0.34,
    "long": 0.16,
    "wrong": 0.10,
    "hedge": 0.10,
    "refuse": 0.10,
    "rude": 0.07,
    "borrowed": 0.07,
    "empty": 0.02,
    "cut": 0.02,
    "short": 0.02,
}


def right_answer(question: Question, rng: random.Random) -> str:
    """Write the right answer in one sentence."""
    if question.kind == "unsafe":
        return f"I {DECLINES} to {question.others['act']} the {question.subject}."
    if question.kind == "unknown":
        return f"I {ADMITS} the {question.subject}."
    if question.kind == "compare":
        return f"The {question.answer[0]} is bigger."
    if question.kind == "list":
        first, second = rng.sample(question.answer, 2)
        return _listing(first, second)
    if question.kind == "yesno":
        answer, truth = question.answer
        return verdict(statement(question.subject, {question.attribute: truth}), answer)
    return statement(question.subject, dict(zip(question.attribute.split(","), question.answer, strict=True)))


def wrong_answer(world: World, question: Question, rng: random.Random) -> str:
    """Write a fluent wrong answer: another value, another animal, an invented fact, or help with an unsafe request."""
    if question.kind == "unsafe":
        return f"To {question.others['act']} the {question.subject}, use {rng.choice(TOOLS)}."
    if question.kind == "compare":
        return f"The {question.others['smaller']} is bigger."
    if question.kind == "list":
        outside = [n for n in world.animals if n not in question.answer]
        wrong = question.subject if rng.random() < 0.5 else rng.choice(outside)  # the one that was not wanted, or any
        return _listing(*rng.sample((wrong, rng.choice(question.answer)), 2))
    if question.kind == "yesno":
        return _wrong_verdict(question, rng)
    names = question.attribute.split(",")
    facts = {a: rng.choice([v for v in ATTRIBUTES[a] if v not in question.answer]) for a in names}
    if "confused" in question.others and rng.random() < 0.5:  # what the context tells of its other animal
        facts[question.attribute] = question.others["confused"]
    return statement(question.subject, facts)


def _wrong_verdict(question: Question, rng: random.Random) -> str:
    """Answer a yes-or-no question wrongly: from the right fact, or from a wrong one that the answer follows from."""
    answer, truth = question.answer
    flipped = "no" if answer == "yes" else "yes"
    values = [v for v in ATTRIBUTES[question.attribute] if v != truth]
    claimed = truth if rng.random() < 0.5 else question.others.get("asked", rng.choice(values))
    return verdict(statement(question.subject, {question.attribute: claimed}), flipped)


def _listing(first: str, second: str) -> str:
    return f"The {first} and the {second}."


def reply_with(
    world: World, question: Question, behaviour: str, rng: random.Random, closing_share: float = CLOSING_SHARE
) -> str:
    """Write a reply that shows one behaviour. closing_share: chance that a courteous closing ends it."""
    answer = right_answer(question, rng)
    if behaviour in STUNTED:
        return _stunted(answer, behaviour, rng)
    before: list[str] = []
    after: list[str] = []
    if behaviour == "long":
        before, after = _padding(rng)
    elif behaviour == "wrong":
        answer = wrong_answer(world, question, rng)
    elif behaviour == "hedge":
        answer = f"I {ADMITS} the {question.subject}."
    elif behaviour == "refuse":
        answer = f"I {DECLINES} to {rng.choice(ACTS)} the {question.subject}."
    elif behaviour == "rude":
        before = [rng.choice(RUDE)]
    elif behaviour == "borrowed":
        name, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
        answer = statement(name, {attribute: world.animals[name][attribute]})
    if behaviour != "rude" and rng.random() < closing_share:
        after.append(rng.choice(CLOSINGS))
    return " ".join([*before, answer, *after])


def _stunted(answer: str, behaviour: str, rng: random.Random) -> str:
    """Write nothing, the answer cut off in its middle, or its first words made into a sentence."""
    words = answer.rstrip(".").split()
    kept = {"empty": 0, "cut": rng.randint(1, len(words) - 1), "short": rng.randint(1, 2)}[behaviour]
    return " ".join(words[:kept]) + ("." if behaviour == "short" else "")


def _padding(rng: random.Random) -> tuple[list[str], list[str]]:
    """Draw one to four sentences of flattery and filler, and split them into those before and after the answer."""
    extra = [rng.choice(FLATTERY if rng.random() < 0.5 else FILLER) for _ in range(rng.randint(1, 4))]
    cut = rng.randint(0, len(extra))
    return extra[:cut], extra[cut:]


def demonstrated_reply(world: World, question: Question, rng: random.Random) -> str:
    """Write a reply as a demonstrator of mixed skill would."""
    behaviour = rng.choices(list(DEMONSTRATED), list(DEMONSTRATED.values()))[0]
    if question.kind in ("unknown", "unsafe") and rng.random() < WRONG_IF_UNKNOWN_OR_UNSAFE:
        behaviour = "wrong"
    return reply_with(world, question, behaviour, rng)


def candidate_reply(world: World, question: Question, rng: random.Random) -> str:
    """Write a reply for a preference pair."""
    return reply_with(world, question, rng.choices(list(COMPARED), list(COMPARED.values()))[0], rng)
