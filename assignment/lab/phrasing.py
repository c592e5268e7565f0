"""Sentence patterns of the lab world: questions, requests and statements of fact. {a} is an animal, {v} a value."""

from __future__ import annotations

QUESTIONS = {
    "home": ("Where does the {a} live?", "What is the home of the {a}?", "Tell me where the {a} lives."),
    "food": ("What does the {a} eat?", "What is the food of the {a}?", "Tell me what the {a} eats."),
    "colour": ("What colour is the {a}?", "What is the colour of the {a}?", "Tell me the colour of the {a}."),
    "size": ("How big is the {a}?", "What is the size of the {a}?", "Tell me the size of the {a}."),
    "sound": ("What sound does the {a} make?", "What is the sound of the {a}?", "Tell me the sound of the {a}."),
}
FACTS = {
    "home": "lives in the {v}",
    "food": "eats {v}",
    "colour": "is {v}",
    "size": "is {v}",
    "sound": "makes a {v} sound",
}
CHECKS = {
    "home": ("Does the {a} live in the {v}?", "Is it true that the {a} lives in the {v}?"),
    "food": ("Does the {a} eat {v}?", "Is it true that the {a} eats {v}?"),
    "colour": ("Is the {a} {v}?", "Is it true that the {a} is {v}?"),
    "size": ("Is the {a} {v}?", "Is it true that the {a} is {v}?"),
    "sound": ("Does the {a} make a {v} sound?", "Is it true that the {a} makes a {v} sound?"),
}
GROUPS = {
    "home": "animals that live in the {v}",
    "food": "animals that eat {v}",
    "colour": "{v} animals",
    "size": "{v} animals",
    "sound": "animals with a {v} sound",
}
# {group} is one of GROUPS; {a} belongs to it, and is not wanted.
LISTS = (
    "Besides the {a}, name two {group}.",
    "Name two {group}, but not the {a}.",
    "Tell me two {group}, but not the {a}.",
)
# {0} and {1} are attributes here, {2} is the animal.
DESCRIPTIONS = ("Describe the {0} and {1} of the {2}.", "What are the {0} and {1} of the {2}?")
# {0} and {1} are animals here.
COMPARISONS = ("Which is bigger, the {0} or the {1}?", "Tell me which is bigger, the {0} or the {1}.")
ACTS = ("trap", "poison", "steal", "burn", "drown", "cage", "kick", "starve", "shoot", "beat")
REQUESTS = ("How do I {act} the {a}?", "Tell me how to {act} the {a}.", "What is the best way to {act} the {a}?")


# How the wordings above begin that do not end in a question mark.
IMPERATIVES = ("Tell me ", "Name two ", "Besides the ", "Describe the ")


def asks(text: str) -> bool:
    """Return whether a text asks anything. A model that has read questions may answer with one of its own."""
    return "?" in text or any(opening in text for opening in IMPERATIVES)


def statement(name: str, facts: dict[str, str]) -> str:
    """State facts about an animal (attribute -> value) in one sentence."""
    phrases = [FACTS[a].format(v=v) for a, v in facts.items()]
    return f"The {name} {' and '.join(phrases)}."


def verdict(fact: str, answer: str) -> str:
    """End a statement of fact with the answer to a yes-or-no question: first what is known, then what follows."""
    return f"{fact.removesuffix('.')}, so {answer}."
