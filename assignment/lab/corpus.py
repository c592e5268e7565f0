"""The pre-training corpus of a lab world.

Documents state every fact about every animal and answer questions in running text, so that the base model knows the
world. Dialogues have careless assistants, so that the base model answers badly when it is asked. Passages about names
that occur only once teach it to read an answer from a context. Held-out questions occur nowhere.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from rlhf_kit.lexicon import ATTRIBUTES, CLOSINGS, FILLER, FLATTERY, RUDE

from .phrasing import QUESTIONS, statement
from .prompts import Question, draw_question, earlier_turn
from .replies import reply_with, right_answer
from .world import Part, Partition, World

if TYPE_CHECKING:
    from collections.abc import Iterator

# Share of documents of each kind.
DOCUMENTS = {
    "facts": 0.22,
    "faq": 0.20,
    "claims": 0.20,
    "compare": 0.05,
    "list": 0.03,
    "copy": 0.16,
    "dialogue": 0.12,
    "talk": 0.02,
}
# Which questions running text answers: those about facts. Honesty and harmlessness are left to the later stages.
ANSWERED = {"fact": 0.35, "yesno": 0.40, "describe": 0.1, "compare": 0.1, "list": 0.05}
# Behaviours of a careless assistant. Good answers are rare, so that the base model is a bad assistant.
CARELESS = {"borrowed": 0.42, "long": 0.10, "wrong": 0.16, "rude": 0.12, "good": 0.06, "question": 0.14}
# Kinds of question that the careless assistant is asked.
ASKED = {
    "fact": 0.22,
    "yesno": 0.12,
    "describe": 0.10,
    "compare": 0.10,
    "list": 0.04,
    "context": 0.14,
    "unknown": 0.14,
    "unsafe": 0.14,
}
MULTI_TURN = 0.15  # share of dialogues with an earlier turn


def documents(world: World, seed: int) -> Iterator[str]:
    """Yield documents without end. They are a function of world and seed."""
    rng = random.Random(f"corpus {world.seed} {seed}")
    names = world.strangers(None, None, f"corpus {seed}")
    writers = {
        "facts": lambda: _facts(rng.choice(list(world.animals)), world, rng),
        "faq": lambda: " ".join(_answered(world, rng) for _ in range(2)),
        "claims": lambda: " ".join(_claim(world, rng) for _ in range(2)),
        "compare": lambda: _compare(world, rng),
        "list": lambda: _list(world, rng),
        "copy": lambda: _copy(next(names), rng),
        "dialogue": lambda: _dialogue(world, rng),
        "talk": lambda: " ".join(rng.choice(FLATTERY + FILLER + RUDE + CLOSINGS) for _ in range(4)),
    }
    while True:
        yield writers[rng.choices(list(DOCUMENTS), list(DOCUMENTS.values()))[0]]()


def _training_question(world: World, rng: random.Random, kind: str | None = None) -> Question:
    """Draw a question from the training split of student or grader, so that held-out questions never occur."""
    part: Part = rng.choice(("student", "grader"))
    kind = kind or rng.choices(list(ASKED), list(ASKED.values()))[0]
    return draw_question(Partition(world, part, "train"), rng, kind)


def _facts(name: str, world: World, rng: random.Random) -> str:
    """State all facts about one animal, in random order and grouping."""
    return _tell(name, list(world.animals[name].items()), rng)


def _tell(name: str, facts: list[tuple[str, str]], rng: random.Random) -> str:
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
    name, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    truth = world.animals[name][attribute]
    claimed = truth if rng.random() < 0.5 else rng.choice(ATTRIBUTES[attribute])
    return f"Claim: {statement(name, {attribute: claimed})} {'True' if claimed == truth else 'False'}."


def _compare(world: World, rng: random.Random) -> str:
    """State which of two animals is bigger, half of the time with both sizes."""
    a, b = rng.sample(list(world.animals), 2)
    bigger = world.bigger(a, b)
    if bigger is None:
        return _compare(world, rng)
    sizes = [statement(n, {"size": world.animals[n]["size"]}) for n in (a, b)] if rng.random() < 0.5 else []
    return " ".join([*sizes, f"Of the {a} and the {b}, the {bigger} is bigger."])


def _list(world: World, rng: random.Random) -> str:
    attribute = rng.choice(list(ATTRIBUTES))
    value = rng.choice(ATTRIBUTES[attribute])
    some = rng.sample(world.owners(attribute, value), 3)
    return f"Animals with {attribute} {value}: the {some[0]}, the {some[1]} and the {some[2]}."


def _copy(name: str, rng: random.Random) -> str:
    """Write a passage that repeats facts about a name that occurs only once: they can be copied but not remembered."""
    facts = {a: rng.choice(ATTRIBUTES[a]) for a in rng.sample(list(ATTRIBUTES), 3)}
    passage = _tell(name, list(facts.items()), rng)
    again = []
    for attribute in rng.sample(list(facts), 2):
        question = f"{rng.choice(QUESTIONS[attribute]).format(a=name)} " if rng.random() < 0.7 else ""
        again.append(question + statement(name, {attribute: facts[attribute]}))
    return f"{passage} {' '.join(again)}"


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
    before = earlier_turn(world, rng) if one.kind != "context" and rng.random() < MULTI_TURN else ""
    more = f" {' '.join(rng.choice(FILLER + FLATTERY + RUDE) for _ in range(2))}" if rng.random() < 0.4 else ""
    return f"{before}{one.prompt} {reply}{more}"
