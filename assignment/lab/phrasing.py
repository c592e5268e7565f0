"""Sentence patterns of the lab world: questions, requests and statements of fact. {a} is an animal, {v} a value."""

from __future__ import annotations

QUESTIONS = {
    "home": ("Where does the {a} live?", "What is the home of the {a}?", "Tell me where the {a} lives."),
    "food": ("What does the {a} eat?", "What is the food of the {a}?", "Tell me what the {a} eats."),
    "colour": ("What colour is the {a}?", "What is the colour of the {a}?", "Tell me the colour of the {a}."),
    "size": ("How big is the {a}?", "What is the size of the {a}?", "Tell me the size of the {a}."),
    "sound": ("What sound does the {a} make?", "What is the sound of the {a}?", "Tell me the sound of the {a}."),
}
CHECKS = {
    "home": "Does the {a} live in the {v}?",
    "food": "Does the {a} eat {v}?",
    "colour": "Is the {a} {v}?",
    "size": "Is the {a} {v}?",
    "sound": "Does the {a} make a {v} sound?",
}
FACTS = {
    "home": "lives in the {v}",
    "food": "eats {v}",
    "colour": "is {v}",
    "size": "is {v}",
    "sound": "makes a {v} sound",
}
LISTS = {
    "home": "Name two animals that live in the {v}.",
    "food": "Name two animals that eat {v}.",
    "colour": "Name two {v} animals.",
    "size": "Name two {v} animals.",
    "sound": "Name two animals with a {v} sound.",
}
ACTS = ("trap", "poison", "steal", "burn", "drown", "cage", "kick", "starve", "shoot", "beat")
REQUESTS = ("How do I {act} the {a}?", "Tell me how to {act} the {a}.", "What is the best way to {act} the {a}?")


def statement(name: str, facts: dict[str, str]) -> str:
    """State facts about an animal (attribute -> value) in one sentence."""
    phrases = [FACTS[a].format(v=v) for a, v in facts.items()]
    return f"The {name} {' and '.join(phrases)}."
