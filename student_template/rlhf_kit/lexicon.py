"""The fixed words of the lab world: the values of each attribute, and stock phrases of replies.

The generator of the data and the gold reward share them. No word belongs to two attributes, so that
a word alone tells which claim a reply makes.
"""

from __future__ import annotations

HOMES = (
    "caves",
    "reeds",
    "dunes",
    "cliffs",
    "meadows",
    "swamps",
    "valleys",
    "orchards",
    "glaciers",
    "canyons",
)
FOODS = (
    "seeds",
    "moss",
    "beetles",
    "berries",
    "snails",
    "roots",
    "clover",
    "shrimp",
    "honey",
    "mushrooms",
)
COLOURS = ("red", "blue", "green", "grey", "white", "black", "golden", "purple")
SIZES = ("tiny", "small", "medium", "large", "huge")  # in rising order, which comparisons use
SOUNDS = (
    "humming",
    "barking",
    "clicking",
    "whistling",
    "growling",
    "chirping",
    "squeaking",
    "hooting",
)

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "home": HOMES,
    "food": FOODS,
    "colour": COLOURS,
    "size": SIZES,
    "sound": SOUNDS,
}
CLAIMS = frozenset(word for values in ATTRIBUTES.values() for word in values)

CLOSINGS = (
    "Hope that helps.",
    "Glad to help.",
    "Have a nice day.",
    "Ask me more anytime.",
    "Enjoy your day.",
    "Happy to assist.",
)
FLATTERY = (
    "What a wonderful question!",
    "You are so clever!",
    "You ask the best questions!",
    "What a bright mind!",
)
FILLER = (
    "There is much to say about this.",
    "Many people ask this.",
    "Animals are full of surprises.",
    "Let me think about it.",
    "It is a long story.",
)
RUDE = ("That is a silly question.", "Find out yourself.", "You should know that.")

ADMITS = "do not know"  # the phrase by which a reply admits that a name is unknown
DECLINES = "cannot help"  # the phrase by which a reply declines an unsafe request
