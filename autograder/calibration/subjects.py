"""Whose training is measured: the reference, right variants and near misses, as the code that a stage runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from assignment.spec import Spec, load_spec
from autograder.misconceptions import PRELUDE, LibraryError, edited, load
from autograder.replacement import replacement
from autograder.training.code import StageCode
from autograder.training.run import STAGES
from autograder.training.stage import Stage

FILE = Path(__file__).with_name("subjects.toml")
IMPORTS = f"{PRELUDE}from torch import nn\n"
Kind = Literal["reference", "variant", "near_miss"]
TRAINED: tuple[Stage, ...] = tuple(stage for stage in STAGES if stage.op != "stage_compare")


@dataclass(frozen=True)
class Subject:
    """One piece of code whose training is measured. fails: the items that it has to fail."""

    id: str
    stage: Stage
    kind: Kind
    title: str
    slots: Mapping[str, str]
    fails: tuple[str, ...] = ()

    @property
    def code(self) -> StageCode:
        """What the stage runs: these slots, the reference for the others that take part."""
        spec = load_spec()
        taking_part = spec.items[self.stage.items[0]].stage_slots
        slots = {id_: self.slots.get(id_) or replacement(id_) for id_ in taking_part}
        names = {id_: spec.slot(id_).name for id_ in slots}
        return StageCode({"prelude": IMPORTS, "slots": slots, "names": names}, (), True)


@lru_cache(maxsize=1)
def subjects() -> tuple[Subject, ...]:
    """All of them: first the reference in each stage, then the file's, in its order. Raises LibraryError."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))["subject"]
    references = [Subject("reference", stage, "reference", "the reference", {}) for stage in TRAINED]
    return (*references, *(_subject(load_spec(), entry) for entry in entries))


def _subject(spec: Spec, entry: Mapping[str, Any]) -> Subject:
    known = {"id", "stage", "kind", "title", "fails", "bases", "mistakes", "edit", "slots"}
    label = f"{FILE.name}: {entry.get('id', '?')}"
    stages = {stage.op: stage for stage in TRAINED}
    if set(entry) - known or entry.get("stage") not in stages or entry.get("kind") not in ("variant", "near_miss"):
        raise LibraryError(f"{label} needs id, title, kind, one of {sorted(stages)} as stage, and no other keys")
    stage, fails = stages[entry["stage"]], tuple(entry.get("fails", ()))
    if set(fails) - set(stage.items):
        raise LibraryError(f"{label} names items that its stage does not decide")
    library = load()
    mistakes = {m.id: m for some in library.mistakes.values() for m in some}
    slots = {slot: library.bases[slot] for slot in entry.get("bases", ())}
    slots |= {mistakes[id_].slot: mistakes[id_].source for id_ in entry.get("mistakes", ())}
    edits = entry.get("edit", {})
    slots |= {slot: edited(label, library.bases[slot], edits[slot]) for slot in edits}
    slots |= entry.get("slots", {})
    if set(slots) - set(spec.items[stage.items[0]].stage_slots):
        raise LibraryError(f"{label} gives slots that take no part in its stage")
    return Subject(entry["id"], stage, entry["kind"], entry["title"], slots, fails)
