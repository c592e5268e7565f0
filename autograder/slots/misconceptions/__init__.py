"""Known mistakes: wrong answers to the slots, each with the sentence a student reads when it is recognised.

The library is data, `library/*.toml`: for each slot a `base` (an answer that is right, ours) and mistakes,
each an `edit` of the base or a `code` of its own. One library, two uses: the judge names the mistake that
reproduces a student's numbers, and the grader's own tests hand the mistakes in as submissions.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assignment.registry import Spec
from autograder.core.failures import LOG
from autograder.core.text import one_line

LIBRARY = Path(__file__).with_name("library")
PRELUDE = """
import numpy as np
import torch
import rlhf_kit as kit
"""


Text = Annotated[str, Field(min_length=1)]


class LibraryError(ValueError):
    """An entry of the library is not usable; the message names its file and its id."""


@dataclass(frozen=True)
class Mistake:
    """One known mistake.

    source: a complete wrong implementation of the slot. items: the rubric items it costs. keeps: where an item
    is lost in part only, the share that stays, as the registry's entry of [partial] or a fraction ("6/7").
    signs: the sign (training/signs.py) that a lost training item shows, by item. signature: names of the checks
    that fail, for mistakes in what is drawn at random; the first must fail, the others may. file: where it stands.
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
    file: str = ""

    def shares(self, spec: Spec) -> dict[str, float]:
        """Item -> share of its points that stays, for every item that is touched."""
        stated = {item: text if "/" in text else getattr(spec.partial, text) for item, text in self.keeps.items()}
        return {item: float(Fraction(stated.get(item, 0))) for item in self.items}


@dataclass(frozen=True)
class Library:
    """bases: a right answer of ours to each slot. mistakes: by slot, in file order. files: where each base stands."""

    bases: Mapping[str, str]
    mistakes: Mapping[str, tuple[Mistake, ...]]
    files: Mapping[str, str] = field(default_factory=dict)

    def sources(self, mistake: Mistake) -> list[str]:
        """All that has to be executed to run a mistake: imports, the other slots, the mistake itself."""
        others = [source for slot, source in self.bases.items() if slot != mistake.slot]
        return [PRELUDE, *others, mistake.source]


class _Entry(BaseModel):
    """A [[mistake]] as it is written: `edit`s of its slot's base, or a `code` of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Text
    slot: Text
    name: Text
    sentence: Text
    items: tuple[Text, ...] = ()
    keeps: dict[str, Text] = {}
    signs: dict[str, Text] = {}
    signature: tuple[Text, ...] = ()
    code: Text | None = None
    edit: tuple[tuple[str, str], ...] | None = None


@lru_cache(maxsize=1)
def load() -> Library:
    """The library without the entries that are not usable: each of those is a line on stderr and costs itself alone.
    `rlhf-lab verify --static` refuses a library that has any."""
    library, problems = read()
    for problem in problems:
        LOG.warning("known mistakes: %s (left out; `rlhf-lab verify --static` lists them all)", problem)
    return library


def read() -> tuple[Library, list[str]]:
    """What is usable of the library, and a sentence with file and id for each entry that is not."""
    bases: dict[str, str] = {}
    files: dict[str, str] = {}
    entries: list[tuple[str, Any]] = []
    problems: list[str] = []
    for path in sorted(LIBRARY.glob("*.toml")):
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
            for slot, base in raw.get("base", {}).items():
                bases[slot] = _compiled(f"{path.name}: base of {slot}", base.get("code"))
                files[slot] = path.name
            entries += [(path.name, entry) for entry in raw.get("mistake", [])]
        except LibraryError as error:
            problems.append(str(error))
        except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
            problems.append(f"{path.name}: cannot be read: {one_line(str(error), 200)}")
    found: dict[str, list[Mistake]] = {slot: [] for slot in sorted(bases)}
    seen: set[str] = set()
    for file, entry in entries:
        try:
            mistake = _mistake(file, entry, bases)
            if mistake.id in seen:
                raise LibraryError(f"{file}: {mistake.id} occurs twice")
        except LibraryError as error:
            problems.append(str(error))
        else:
            seen.add(mistake.id)
            found[mistake.slot].append(mistake)
    return Library(bases, {slot: tuple(mistakes) for slot, mistakes in found.items()}, files), problems


def _mistake(file: str, raw: Any, bases: Mapping[str, str]) -> Mistake:
    label = f"{file}: {raw.get('id', 'a mistake without id') if isinstance(raw, dict) else 'an entry'}"
    try:
        entry = _Entry.model_validate(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise LibraryError(f"{label} is malformed: {one_line(wrong, 300)}") from error
    if (entry.code is None) == (entry.edit is None):
        raise LibraryError(f"{label} needs either code or edit")
    if entry.slot not in bases:
        raise LibraryError(f"{label} needs a usable [base.{entry.slot}]")
    source = entry.code or edited(label, bases[entry.slot], entry.edit or ())
    return Mistake(
        entry.id, entry.slot, entry.name, entry.sentence, _compiled(label, source), entry.items or (entry.slot,),
        entry.signature, entry.keeps, entry.signs, file,
    )  # fmt: skip


def _compiled(label: str, source: Any) -> str:
    """The source, if it is Python; LibraryError if it is not."""
    from autograder.slots.misconceptions.local import compiled

    if not isinstance(source, str):
        raise LibraryError(f"{label} has no code")
    try:
        compiled(source)
    except (SyntaxError, ValueError) as error:
        raise LibraryError(f"{label} does not parse: {error}") from error
    return source


def edited(label: str, base: str, edits: Iterable[Sequence[str]]) -> str:
    """`base` with each [old, new] replaced; LibraryError unless `old` stands in it exactly once."""
    for old, new in edits:
        if base.count(old) != 1:
            raise LibraryError(f"{label}: {old!r} occurs {base.count(old)} times in the base, not once")
        base = base.replace(old, new)
    return base
