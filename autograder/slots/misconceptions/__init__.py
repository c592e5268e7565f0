"""Known mistakes: wrong answers to the slots, each with the sentence a student reads when it is recognised.

The library is data, `library/*.toml`: for each slot a `base` (an answer that is right, ours) and mistakes,
each an `edit` of the base or a `code` of its own. One library, two uses: the judge names the mistake that
reproduces a student's numbers, and the grader's own tests hand the mistakes in as submissions.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from assignment.registry import Spec

LIBRARY = Path(__file__).with_name("library")
PRELUDE = """
import numpy as np
import torch
import rlhf_kit as kit
"""


class LibraryError(ValueError):
    """A file of the library is not usable; the message names file and entry."""


@dataclass(frozen=True)
class Mistake:
    """One known mistake.

    source: a complete wrong implementation of the slot. items: the rubric items it costs. keeps: where an item
    is lost in part only, the share that stays, as the registry's entry of [partial] or a fraction ("6/7").
    signs: the sign (training/signs.py) that a lost training item shows, by item. signature: names of the checks
    that fail, for mistakes in what is drawn at random; the first must fail, the others may.
    """

    id: str
    slot: str
    name: str
    sentence: str
    source: str
    items: tuple[str, ...]
    signature: tuple[str, ...] = ()
    keeps: Mapping[str, str] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)

    def shares(self, spec: Spec) -> dict[str, float]:
        """Item -> share of its points that stays, for every item that is touched."""
        stated = {item: text if "/" in text else getattr(spec.partial, text) for item, text in self.keeps.items()}
        return {item: float(Fraction(stated.get(item, 0))) for item in self.items}


@dataclass(frozen=True)
class Library:
    """bases: a right answer of ours to each slot. mistakes: by slot, in file order."""

    bases: Mapping[str, str]
    mistakes: Mapping[str, tuple[Mistake, ...]]

    def sources(self, mistake: Mistake) -> list[str]:
        """All that has to be executed to run a mistake: imports, the other slots, the mistake itself."""
        others = [source for slot, source in self.bases.items() if slot != mistake.slot]
        return [PRELUDE, *others, mistake.source]


@lru_cache(maxsize=1)
def load() -> Library:
    """The library, checked. Raises LibraryError."""
    bases: dict[str, str] = {}
    entries: list[tuple[str, dict[str, Any]]] = []
    for path in sorted(LIBRARY.glob("*.toml")):
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        bases |= {slot: base["code"] for slot, base in raw.get("base", {}).items()}
        entries += [(path.name, entry) for entry in raw.get("mistake", [])]
    found: dict[str, list[Mistake]] = {slot: [] for slot in sorted(bases)}
    seen: set[str] = set()
    for file, entry in entries:
        mistake = _mistake(file, entry, bases)
        if mistake.id in seen:
            raise LibraryError(f"{file}: {mistake.id} occurs twice")
        seen.add(mistake.id)
        found[mistake.slot].append(mistake)
    return Library(bases, {slot: tuple(mistakes) for slot, mistakes in found.items()})


def _mistake(file: str, entry: dict[str, Any], bases: Mapping[str, str]) -> Mistake:
    known = {"id", "slot", "name", "sentence", "items", "keeps", "signs", "signature", "code", "edit"}
    label = f"{file}: {entry.get('id', '?')}"
    if set(entry) - known or not {"id", "slot", "name", "sentence"} <= set(entry):
        raise LibraryError(
            f"{label} needs id, slot, name, sentence, and edit or code; it has {sorted(entry)}"
        )
    slot = entry["slot"]
    if ("code" in entry) == ("edit" in entry) or slot not in bases:
        raise LibraryError(f"{label} needs either code or edit, and a base for {slot}")
    source = entry.get("code") or edited(label, bases[slot], entry["edit"])
    return Mistake(
        entry["id"],
        slot,
        entry["name"],
        entry["sentence"],
        source,
        tuple(entry.get("items", (slot,))),
        tuple(entry.get("signature", ())),
        dict(entry.get("keeps", {})),
        dict(entry.get("signs", {})),
    )


def edited(label: str, base: str, edits: list[list[str]]) -> str:
    """`base` with each [old, new] replaced; LibraryError unless `old` stands in it exactly once."""
    for old, new in edits:
        if base.count(old) != 1:
            raise LibraryError(f"{label}: {old!r} occurs {base.count(old)} times in the base, not once")
        base = base.replace(old, new)
    return base
