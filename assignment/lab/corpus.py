"""The pre-training corpus of a lab world: what the base model reads before anybody teaches it manners.

It states every fact about every animal, and answers questions in running text, so the base model knows the
world. It holds dialogues too, but with careless assistants, so the base model answers badly when asked.
Passages about one-off names teach it to read an answer from a context. Only training questions occur: the
held-out ones are asked nowhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from rlhf_kit.lexicon import ATTRIBUTES, CLOSINGS, FILLER, FLATTERY, RUDE

from .phrasing import QUESTIONS, statement
from .prompts import Ask, ask, earlier_turn
from .replies import behave, good_core
from .world import Part, World

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
# What running text answers: everything that the world knows; manners are left to the later stages.
ANSWERED = {"fact": 0.35, "yesno": 0.40, "describe": 0.1, "compare": 0.1, "list": 0.05}
# A careless assistant's habits: hardly ever a good answer, so that prompting the base model disappoints.
CARELESS = {"borrowed": 0.42, "long": 0.10, "wrong": 0.16, "rude": 0.12, "good": 0.06, "question": 0.14}
# What the careless assistant is asked about.
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
    """Endless documents, a deterministic function of world and seed."""
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


def _training_question(world: World, rng: random.Random, kind: str | None = None) -> Ask:
    """A question of either part's training split: held-out combinations are never asked."""
    part: Part = rng.choice(("student", "grader"))
    return ask(world, part, "train", rng, kind or rng.choices(list(ASKED), list(ASKED.values()))[0])


def _facts(name: str, world: World, rng: random.Random) -> str:
    """All facts about one animal, in random order and grouping."""
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
    """A question in running text with its right answer."""
    one = _training_question(world, rng, rng.choices(list(ANSWERED), list(ANSWERED.values()))[0])
    return f"{one.instruction} {good_core(world, one, rng)}"


def _claim(world: World, rng: random.Random) -> str:
    """A claim and its verdict: who can tell true from false here can judge replies later."""
    name, attribute = rng.choice(list(world.animals)), rng.choice(list(ATTRIBUTES))
    truth = world.animals[name][attribute]
    claimed = truth if rng.random() < 0.5 else rng.choice(ATTRIBUTES[attribute])
    return f"Claim: {statement(name, {attribute: claimed})} {'True' if claimed == truth else 'False'}."


def _compare(world: World, rng: random.Random) -> str:
    """Which of two animals is bigger, and why."""
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
    """A passage about a one-off name that repeats its facts: they can only be copied, not remembered."""
    facts = {a: rng.choice(ATTRIBUTES[a]) for a in rng.sample(list(ATTRIBUTES), 3)}
    passage = _tell(name, list(facts.items()), rng)
    again = []
    for attribute in rng.sample(list(facts), 2):
        question = f"{rng.choice(QUESTIONS[attribute]).format(a=name)} " if rng.random() < 0.7 else ""
        again.append(question + statement(name, {attribute: facts[attribute]}))
    return f"{passage} {' '.join(again)}"


def _dialogue(world: World, rng: random.Random) -> str:
    """A question of any kind and a careless reply."""
    one = _training_question(world, rng)
    habit = rng.choices(list(CARELESS), list(CARELESS.values()))[0]
    if one.kind in ("unknown", "unsafe") and habit == "good":
        habit = "wrong"
    reply = (
        _training_question(world, rng, "fact").instruction
        if habit == "question"
        else behave(world, one, habit, rng, 0.3)
    )
    before = earlier_turn(world, rng) if one.kind != "context" and rng.random() < MULTI_TURN else ""
    more = f" {' '.join(rng.choice(FILLER + FLATTERY + RUDE) for _ in range(2))}" if rng.random() < 0.4 else ""
    return f"{before}{one.prompt} {reply}{more}"
