"""Known mistakes: wrong answers to the slots, each with the sentence that a student reads when it is recognised.

The library is data, `library/*.toml`: for each slot a right answer (`base`) and mistakes, each an `edit` of the base or
a `code` of its own. It has two uses: slot tests name the mistake that reproduces a student's numbers, and the tests of
the grader hand in the mistakes as submissions.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autograder.core.failures import LOG
from autograder.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from assignment.registry import Spec

LIBRARY = Path(__file__).with_name("library")
PRELUDE = """
import numpy as np
import torch
import rlhf_kit as kit
"""


Text = Annotated[str, Field(min_length=1)]


class LibraryError(ValueError):
    """An entry of the library cannot be used. The message names its file and its id."""


@dataclass(frozen=True)
class Mistake:
    """One known mistake.

    source: a complete wrong answer to the slot. items: the rubric items that it costs. keeps: the share that stays of
    an item that is lost in part only, as a field of the registry's [partial] or a fraction ("6/7"). symptoms: by
    training item that it costs, the symptom (training/symptoms.py) that the item shows. signature: for mistakes in what
    is sampled, the names of the checks that fail; the first must fail, the others may. file: the entry's file.
    """

    id: str
    slot: str
    name: str
    sentence: str
    source: str
    items: tuple[str, ...]
    signature: tuple[str, ...] = ()
    keeps: Mapping[str, str] = field(default_factory=dict)
    symptoms: Mapping[str, str] = field(default_factory=dict)
    file: str = ""

    def shares(self, spec: Spec) -> dict[str, float]:
        """By item that the mistake costs: the share of its points that stays."""
        stated = {item: text if "/" in text else getattr(spec.partial, text) for item, text in self.keeps.items()}
        return {item: float(Fraction(stated.get(item, 0))) for item in self.items}


@dataclass(frozen=True)
class Library:
    """The library as it was read. bases: the right answer to each slot. mistakes: by slot, in the files' order.
    files: by slot, the file of its base."""

    bases: Mapping[str, str]
    mistakes: Mapping[str, tuple[Mistake, ...]]
    files: Mapping[str, str] = field(default_factory=dict)

    def sources(self, mistake: Mistake) -> list[str]:
        """The sources to execute for running a mistake: imports, the other slots, the mistake itself."""
        others = [source for slot, source in self.bases.items() if slot != mistake.slot]
        return [PRELUDE, *others, mistake.source]


class _Entry(BaseModel):
    """A [[mistake]] as its file has it: with `edit`s of its slot's base, or with a `code` of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Text
    slot: Text
    name: Text
    sentence: Text
    items: tuple[Text, ...] = ()
    keeps: dict[str, Text] = {}
    symptoms: dict[str, Text] = {}
    signature: tuple[Text, ...] = ()
    code: Text | None = None
    edit: tuple[tuple[str, str], ...] | None = None


@lru_cache(maxsize=1)
def load_library() -> Library:
    """Load the library without its unusable entries. Each of those is named in a line on stderr, and the others work.
    `rlhf-lab verify --static` refuses a library with an unusable entry."""
    library, problems = read_library()
    for problem in problems:
        LOG.warning("known mistakes: %s (left out; `rlhf-lab verify --static` lists them all)", problem)
    return library


def read_library() -> tuple[Library, list[str]]:
    """Read the library's usable entries, and for every other one a sentence with its file and id."""
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
    source = entry.code or apply_edits(label, bases[entry.slot], entry.edit or ())
    return Mistake(
        entry.id, entry.slot, entry.name, entry.sentence, _compiled(label, source), entry.items or (entry.slot,),
        entry.signature, entry.keeps, entry.symptoms, file,
    )  # fmt: skip


def _compiled(label: str, source: Any) -> str:
    """Return the source. Raises LibraryError if it is not Python."""
    from autograder.slots.misconceptions.in_process import compiled

    if not isinstance(source, str):
        raise LibraryError(f"{label} has no code")
    try:
        compiled(source)
    except (SyntaxError, ValueError) as error:
        raise LibraryError(f"{label} does not parse: {error}") from error
    return source


def apply_edits(label: str, base: str, edits: Iterable[Sequence[str]]) -> str:
    """Replace the text of each [old, new] in `base`. Raises LibraryError unless `old` occurs in it exactly once."""
    for old, new in edits:
        if base.count(old) != 1:
            raise LibraryError(f"{label}: {old!r} occurs {base.count(old)} times in the base, not once")
        base = base.replace(old, new)
    return base
