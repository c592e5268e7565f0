"""The pre-training corpus of a lab world.

Documents state every fact about every animal and answer questions in running text, so that the base model knows the
world. Passages about names that occur only once teach it to read an answer from a context: the text is the only place
where it stands. Dialogues have careless assistants, so that the base model answers badly when it is asked. Every
question, claim and comparison is one that training may ask; held-out ones occur nowhere.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from rlhf_kit.lexicon import ATTRIBUTES, CLOSINGS, FILLER, FLATTERY, RUDE

from .phrasing import CHECKS, GROUPS, statement
from .prompts import Question, draw_question, earlier_turn
from .replies import reply_with, right_answer
from .world import Part, Partition, World

if TYPE_CHECKING:
    from collections.abc import Iterator

# Share of documents of each kind.
DOCUMENTS = {
    "facts": 0.18,
    "faq": 0.26,
    "claims": 0.04,
    "compare": 0.04,
    "group": 0.08,
    "copy": 0.26,
    "dialogue": 0.12,
    "talk": 0.02,
}
# Which questions running text answers: those about facts. Honesty and harmlessness are left to the later stages.
ANSWERED = {"fact": 0.20, "yesno": 0.40, "describe": 0.08, "compare": 0.08, "list": 0.24}
# Behaviours of a careless assistant. Good answers are rare, so that the base model is a bad assistant.
CARELESS = {"borrowed": 0.42, "long": 0.10, "wrong": 0.16, "rude": 0.12, "good": 0.06, "question": 0.14}
# Kinds of question that the careless assistant is asked.
ASKED = {
    "fact": 0.20,
    "yesno": 0.14,
    "describe": 0.12,
    "compare": 0.12,
    "list": 0.10,
    "context": 0.04,
    "unknown": 0.14,
    "unsafe": 0.14,
}
RETOLD = 0.3  # share of passages that are told a second time
CHECKED = 0.35  # share of the other passages whose question wants a yes or no
MULTI_TURN = 0.15  # share of dialogues with an earlier turn


def documents(world: World, seed: int) -> Iterator[str]:
    """Yield documents without end. They are a function of world and seed."""
    rng = random.Random(f"corpus {world.seed} {seed}")
    writers = {
        "facts": lambda: _facts(rng.choice(list(world.animals)), world, rng),
        "faq": lambda: " ".join(_answered(world, rng) for _ in range(2)),
        "claims": lambda: " ".join(_claim(world, rng) for _ in range(2)),
        "compare": lambda: _compare(world, rng),
        "group": lambda: _group(world, rng),
        "copy": lambda: _copy(world, rng),
        "dialogue": lambda: _dialogue(world, rng),
        "talk": lambda: " ".join(rng.choice(FLATTERY + FILLER + RUDE + CLOSINGS) for _ in range(4)),
    }
    while True:
        yield writers[rng.choices(list(DOCUMENTS), list(DOCUMENTS.values()))[0]]()


def _training(world: World, rng: random.Random) -> Partition:
    """Return the training partition of student or grader, in turn at random."""
    part: Part = rng.choice(("student", "grader"))
    return Partition(world, part, "train")


def _training_question(world: World, rng: random.Random, kind: str | None = None) -> Question:
    """Draw a question from a training partition, so that held-out questions never occur."""
    return draw_question(_training(world, rng), rng, kind or rng.choices(list(ASKED), list(ASKED.values()))[0])


def _facts(name: str, world: World, rng: random.Random) -> str:
    """State all facts about one animal, in random order and grouping."""
    facts = list(world.animals[name].items())
    rng.shuffle(facts)
    sentences = []
    while facts:
        take = rng.choice((1, 1, 2))
        sentences.append(statement(name, dict(facts[:take])))
        facts = facts[take:]
    return " ".join(sentences)


def _answered(world: World, rng: random.Random) -> str:
    """Write a question in running text with its right answer."""
    one = _training_question(world, rng, rng.choices(list(ANSWERED), list(ANSWERED.values()))[0])
    return f"{one.instruction} {right_answer(one, rng)}"


def _claim(world: World, rng: random.Random) -> str:
    """Write a claim and whether it is true: it teaches to tell true from false, which a reward model needs."""
    one = _training_question(world, rng, "yesno")
    claimed = one.others.get("asked", one.answer[1])
    return f"Claim: {statement(one.subject, {one.attribute: claimed})} {'False' if 'asked' in one.others else 'True'}."


def _compare(world: World, rng: random.Random) -> str:
    """State which of two animals is bigger, half of the time with both sizes."""
    one = _training_question(world, rng, "compare")
    pair = [one.answer[0], one.others["smaller"]]
    rng.shuffle(pair)
    sizes = [statement(n, {"size": world.animals[n]["size"]}) for n in pair] if rng.random() < 0.5 else []
    return " ".join([*sizes, f"Of the {pair[0]} and the {pair[1]}, the {one.answer[0]} is bigger."])


def _group(world: World, rng: random.Random) -> str:
    """Name four animals that share a value; none is named twice."""
    attribute = rng.choice(list(ATTRIBUTES))
    value = rng.choice(ATTRIBUTES[attribute])
    some = [f"the {name}" for name in rng.sample(world.owners(attribute, value), 4)]
    return f"Some {GROUPS[attribute].format(v=value)}: {', '.join(some[:-1])} and {some[-1]}."


def _copy(world: World, rng: random.Random) -> str:
    """Write a passage about names that occur only once, a question and its answer, in one of three orders: what is
    asked can be copied and not remembered. One of the orders is that of a dialogue. Some questions want a yes or no, so
    that the verdict on a fact is learned where the fact stands in sight."""
    if rng.random() < RETOLD:
        return _retold(_training(world, rng), rng)
    one = _training_question(world, rng, "context")
    if rng.random() < CHECKED:
        one = _checked(one, rng)
    answer = right_answer(one, rng)
    parts = {
        "question": f"{one.instruction} {one.context} {answer}",
        "text": f"{one.context} {one.instruction} {answer}",
        "dialogue": f"{one.prompt} {answer}",
    }
    return parts[rng.choice(list(parts))]


def _retold(partition: Partition, rng: random.Random) -> str:
    """Tell the same attributes of two or three names that occur only once, and all of it again in another order. Each
    value of the second part follows from the name and the attribute together: half of such sentences in a passage with
    one question would be right by the attribute alone."""
    strangers = partition.world.strangers(partition.part, partition.split, rng.random())
    names = [next(strangers) for _ in range(rng.choice((2, 2, 3)))]
    told = [
        statement(name, {attribute: value})
        for attribute in rng.sample(list(ATTRIBUTES), 2)
        for name, value in zip(names, rng.sample(ATTRIBUTES[attribute], len(names)), strict=True)
    ]
    again = rng.sample(told, len(told))
    return " ".join([*rng.sample(told, len(told)), *again])


def _checked(one: Question, rng: random.Random) -> Question:
    """Ask whether a fact of a passage is so, instead of what it is."""
    truth = one.answer[0]
    values = [v for v in ATTRIBUTES[one.attribute] if v != truth]
    asked = truth if rng.random() < 0.5 else one.others.get("confused", rng.choice(values))
    instruction = rng.choice(CHECKS[one.attribute]).format(a=one.subject, v=asked)
    return replace(one, kind="yesno", instruction=instruction, answer=["yes" if asked == truth else "no", truth])


def _dialogue(world: World, rng: random.Random) -> str:
    """Write a dialogue: a question of any kind and a careless reply."""
    one = _training_question(world, rng)
    behaviour = rng.choices(list(CARELESS), list(CARELESS.values()))[0]
    if one.kind in ("unknown", "unsafe") and behaviour == "good":
        behaviour = "wrong"
    reply = (
        _training_question(world, rng, "fact").instruction
        if behaviour == "question"
        else reply_with(world, one, behaviour, rng, closing_share=0.3)
    )
    before = earlier_turn(_training(world, rng), rng) if one.kind != "context" and rng.random() < MULTI_TURN else ""
    more = f" {' '.join(rng.choice(FILLER + FLATTERY + RUDE) for _ in range(2))}" if rng.random() < 0.4 else ""
    return f"{before}{one.prompt} {reply}{more}"
