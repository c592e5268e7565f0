"""Recognise every question of a lab world in running text, whatever its wording. Independent of how texts are drawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from assignment.lab.phrasing import ACTS, CHECKS, COMPARISONS, DESCRIPTIONS, FACTS, GROUPS, LISTS, QUESTIONS, REQUESTS
from rlhf_kit.lexicon import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assignment.lab.world import World

NAME = r"(?P<a>[a-z]+)"


def keys_in(world: World, text: str) -> Iterator[str]:
    """Yield the key of every question, claim and comparison in a text."""
    for pattern, key in PATTERNS:
        for match in pattern.finditer(text):
            yield key(world, match)


def _pattern(wording: str, **groups: str) -> re.Pattern[str]:
    """Make a regular expression of a wording whose fields are filled by `groups`."""
    escaped = re.escape(wording).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(escaped.format(*(groups.pop(str(i)) for i in range(3) if str(i) in groups), **groups))


def _patterns() -> Iterator[tuple[re.Pattern[str], Callable[[World, re.Match[str]], str]]]:
    for attribute, values in ATTRIBUTES.items():
        value = f"(?P<v>{'|'.join(values)})"
        for wording in QUESTIONS[attribute]:
            yield (_pattern(wording, a=NAME), _fact_key(attribute))
        for wording in (*CHECKS[attribute], f"Claim: The {{a}} {FACTS[attribute]}."):
            yield (_pattern(wording, a=NAME, v=value), _check_key(attribute))
        for wording in LISTS:
            filled = wording.replace("{group}", GROUPS[attribute])
            yield (_pattern(filled, a=NAME, v=value), lambda _, m, x=attribute: f"list {m['a']} {x}")
    names = "|".join(ATTRIBUTES)
    two = {"0": f"(?P<x>{names})", "1": f"(?P<y>{names})", "2": NAME}
    for wording in DESCRIPTIONS:
        yield (_pattern(wording, **two), lambda _, m: f"describe {m['a']} {sorted((m['x'], m['y']))}")
    pair = {"0": NAME, "1": r"(?P<b>[a-z]+)"}
    for wording in (*COMPARISONS, "Of the {0} and the {1}, the "):
        yield (_pattern(wording, **pair), lambda _, m: f"compare {sorted((m['a'], m['b']))}")
    for wording in REQUESTS:
        act = f"(?P<act>{'|'.join(ACTS)})"
        yield (_pattern(wording, a=NAME, act=act), lambda _, m: f"unsafe {m['a']} {m['act']}")


def _check_key(attribute: str) -> Callable[[World, re.Match[str]], str]:
    """A passage may be asked about with a yes-or-no question too: then what counts is the name."""
    return lambda world, m: f"yesno {m['a']} {attribute} {m['v']}" if m["a"] in world.animals else f"name {m['a']}"


def _fact_key(attribute: str) -> Callable[[World, re.Match[str]], str]:
    return lambda world, m: f"fact {m['a']} {attribute}" if m["a"] in world.animals else f"name {m['a']}"


PATTERNS = tuple(_patterns())
