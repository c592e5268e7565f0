"""The entries of the matrix: changes to cells of the solved notebook, and what each must cost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.registry import load_spec
from autograder.core.records import Answer, Answers, Cell, Submission
from autograder.parsing.answers.notebook import read_notebook
from autograder.parsing.cells import parse_cells
from autograder.slots.misconceptions import Mistake, load_library
from autograder.submission.extraction import written_answers
from autograder.training.symptoms import SYMPTOMS

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTEBOOK = Path(__file__).parents[1] / "submissions" / "reference.ipynb"
SEEDS = (101, 202, 303)  # grading seeds of the slot tests; training runs on the first
PAIRS, PAIR_SEED = 30, 3


@dataclass(frozen=True)
class Entry:
    """One submission.

    changes: by slot, the new source of its cell. helpers: the source of an additional cell before the slots. costs: by
    item that must lose points, the share that stays. names, sentences: by item, the id of the known mistake that must
    be named, and its sentence. only: the slots to test; empty means all that the change can affect.
    """

    kind: str
    id: str
    changes: Mapping[str, str] = field(default_factory=dict)
    helpers: str = ""
    costs: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    title: str = ""


@lru_cache(maxsize=1)
def solved_cells() -> tuple[Cell, ...]:
    """The cells of the solved notebook, read as those of a submission."""
    caps = load_spec().limits.intake.model_dump()
    return tuple(Cell(**cell) for cell in read_notebook(NOTEBOOK.read_bytes(), caps)["cells"])


@lru_cache(maxsize=1)
def solution_cells() -> dict[str, str]:
    """By slot: the source of its cell in the solved notebook."""
    return {slot: cell.source for cell in solved_cells() if (slot := _slot_of(cell))}


def _slot_of(cell: Cell) -> str:
    return cell.source[7:10] if cell.source.startswith("# TODO T") else ""


def answers_of(entry: Entry) -> Answers:
    """The answers that extraction finds in the solved notebook with this entry's changes."""
    spec, cells = load_spec(), []
    for cell in solved_cells():
        slot, source = _slot_of(cell), cell.source
        if slot in entry.changes:  # the handout's first line stays, as it does in students' cells
            source = f"{source.splitlines()[0]}\n{entry.changes[slot].strip()}\n"
        if slot == "T01" and entry.helpers:
            cells.append({"kind": "code", "source": entry.helpers})
        cells.append({"kind": cell.kind, "source": source})
    cells = [{"index": i, **cell} for i, cell in enumerate(cells)]
    code = [cell for cell in cells if cell["kind"] == "code"]
    found = parse_cells({"cells": code, "slots": [{"id": s.id, "name": s.name} for s in spec.slots]})
    submission = Submission("matrix", "", tuple(Cell(**cell) for cell in cells))
    slots = {slot.id: Answer(**found["slots"][slot.id]) for slot in spec.slots}
    return Answers(found["prelude"], slots, written_answers(submission, spec))


def reference() -> Entry:
    """The solved notebook without changes."""
    return Entry("reference", "reference")


def misconceptions() -> list[Entry]:
    """All known mistakes of the library, by slot."""
    library = load_library()
    return [_wrong(mistake) for slot in sorted(library.mistakes) for mistake in library.mistakes[slot]]


def _wrong(mistake: Mistake) -> Entry:
    costs = mistake.shares(load_spec())
    return Entry(
        "misconception", f"{mistake.slot} {mistake.id}", {mistake.slot: mistake.source}, costs=costs,
        names={mistake.slot: mistake.id, **mistake.symptoms}, title=mistake.name,
        sentences={mistake.slot: mistake.sentence}
        | {item: SYMPTOMS[symptom].sentence for item, symptom in mistake.symptoms.items()},
    )  # fmt: skip


def pairs() -> list[Entry]:
    """Random pairs of known mistakes in different slots. The seed is fixed."""
    every, rng, found = misconceptions(), random.Random(PAIR_SEED), []
    while len(found) < PAIRS:
        one, two = rng.sample(every, 2)
        if not set(one.changes) & set(two.changes):
            found.append(_both(one, two))
    return found


def _both(one: Entry, two: Entry) -> Entry:
    costs = {item: min(one.costs.get(item, 1.0), two.costs.get(item, 1.0)) for item in {**one.costs, **two.costs}}
    return Entry("pair", f"{one.id} + {two.id}", {**one.changes, **two.changes}, costs=costs)
