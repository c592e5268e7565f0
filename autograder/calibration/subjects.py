"""The subjects of the study: the reference, correct variants, and wrong solutions that almost pass (kind
"near_miss")."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autograder.calibration.code import short_hash, tree_text
from autograder.calibration.statistics import of_items
from autograder.programs.assemble import StageCode, worker_code
from autograder.programs.replacement import replacement
from autograder.slots.misconceptions import PRELUDE, LibraryError, apply_edits, load_library
from autograder.training.run import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assignment.registry import Spec
    from autograder.training.stage import Stage

FILE = Path(__file__).with_name("subjects.toml")
IMPORTS = f"{PRELUDE}from torch import nn\n"
Kind = Literal["reference", "variant", "near_miss"]


@dataclass(frozen=True)
class Subject:
    """One solution whose training is measured. slots: sources that differ from the reference's. code: all that the
    stage runs. fails: the items that it has to fail, each with the statistic by which it is expected to, named before
    any run."""

    id: str
    stage: Stage
    kind: Kind
    title: str
    slots: Mapping[str, str]
    code: StageCode
    fails: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @cached_property
    def key(self) -> str:
        """Return the hash of what the stage runs, without comments and docstrings."""
        payload = self.code.payload
        return short_hash(
            tree_text(payload["prelude"]), *(f"{id_} {tree_text(s)}" for id_, s in payload["slots"].items())
        )


def subject_code(spec: Spec, stage: Stage, slots: Mapping[str, str]) -> StageCode:
    """Return what a stage runs: these slots, and the reference for all others that it may run."""
    sources = {id_: slots.get(id_) or replacement(spec, id_) for id_ in slots_that_run(spec, stage)}
    return StageCode(worker_code(spec, IMPORTS, sources), (), True)


def slots_that_run(spec: Spec, stage: Stage) -> tuple[str, ...]:
    """Return the slots whose code a stage may run: the registry's, and those that the loop under test may call."""
    item = spec.items[stage.items[0]]
    assert item.loop is not None
    return tuple(slot.id for slot in spec.slots if slot.id in {*item.stage_slots, *spec.slot(item.loop).calls})


def subjects(spec: Spec) -> tuple[Subject, ...]:
    """Return all subjects: the reference in each stage, then those of the file in its order.

    Raises:
        LibraryError: an entry of the file is malformed.
    """
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))["subject"]
    references = [
        Subject("reference", stage, "reference", "the reference", {}, subject_code(spec, stage, {})) for stage in STAGES
    ]
    return (*references, *(_subject(spec, entry) for entry in entries))


def _subject(spec: Spec, entry: Mapping[str, Any]) -> Subject:
    known = {"id", "stage", "kind", "title", "fails", "note", "bases", "mistakes", "edit", "slots"}
    label = f"{FILE.name}: {entry.get('id', '?')}"
    stages = {stage.op: stage for stage in STAGES}
    if set(entry) - known or entry.get("stage") not in stages or entry.get("kind") not in ("variant", "near_miss"):
        raise LibraryError(f"{label} needs id, title, kind, one of {sorted(stages)} as stage, and no other keys")
    stage, fails = stages[entry["stage"]], dict(entry.get("fails", {}))
    if set(fails.items()) - {(one.item, one.name) for one in of_items(stage.items)}:
        raise LibraryError(f"{label} names items that its stage does not decide, or statistics that do not decide them")
    library = load_library()
    mistakes = {m.id: m for some in library.mistakes.values() for m in some}
    slots = {slot: library.bases[slot] for slot in entry.get("bases", ())}
    slots |= {mistakes[id_].slot: mistakes[id_].source for id_ in entry.get("mistakes", ())}
    edits = entry.get("edit", {})
    slots |= {slot: apply_edits(label, library.bases[slot], edits[slot]) for slot in edits}
    slots |= entry.get("slots", {})
    if set(slots) - set(slots_that_run(spec, stage)):
        raise LibraryError(f"{label} gives slots that its stage does not run")
    code = subject_code(spec, stage, slots)
    return Subject(entry["id"], stage, entry["kind"], entry["title"], slots, code, fails, entry.get("note", ""))
