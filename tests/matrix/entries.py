"""What the matrix grades: changed cells of the solved notebook, and what each change must cost."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from assignment.registry import load_spec
from autograder.core.records import Answer, Answers, Cell, Submission
from autograder.parsing.cells import parse_cells
from autograder.parsing.notebook import read_notebook
from autograder.slots.misconceptions import Mistake, load
from autograder.submission.extraction import written_answers
from autograder.training.symptoms import SYMPTOMS

NOTEBOOK = Path(__file__).parents[1] / "submissions" / "reference.ipynb"
SEEDS = (101, 202, 303)  # grading seeds of the slot tests; training runs on the first
PAIRS, PAIR_SEED = 30, 3


@dataclass(frozen=True)
class Entry:
    """One submission. changes: slot -> source of its cell. helpers: a cell of its own before the slots.

    costs: item -> share kept, of every item that must lose points. names: ids of which one must be said for
    each item, in the sentences of the same keys. only: the slots looked at, all that the change can reach if empty.
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
    """The solved notebook's cells, read as every submission is."""
    caps = load_spec().limits.intake.model_dump()
    return tuple(Cell(**cell) for cell in read_notebook(NOTEBOOK.read_bytes(), caps)["cells"])


@lru_cache(maxsize=1)
def own_cells() -> dict[str, str]:
    """Slot -> the source of its cell in the solved notebook."""
    return {slot: cell.source for cell in solved_cells() if (slot := _slot_of(cell))}


def _slot_of(cell: Cell) -> str:
    return cell.source[7:10] if cell.source.startswith("# TODO T") else ""


def answers_of(entry: Entry) -> Answers:
    """What extraction finds in the solved notebook with this entry's cells in it."""
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
    """The solved notebook as it is."""
    return Entry("reference", "reference")


def misconceptions() -> list[Entry]:
    """Every misconception of the library, by slot."""
    library = load()
    return [_wrong(mistake) for slot in sorted(library.mistakes) for mistake in library.mistakes[slot]]


def _wrong(mistake: Mistake) -> Entry:
    costs = mistake.shares(load_spec())
    return Entry(
        "misconception", f"{mistake.slot} {mistake.id}", {mistake.slot: mistake.source}, costs=costs,
        names={mistake.slot: mistake.id, **mistake.signs}, title=mistake.name,
        sentences={mistake.slot: mistake.sentence, **{i: SYMPTOMS[id_].sentence for i, id_ in mistake.signs.items()}},
    )  # fmt: skip


def pairs() -> list[Entry]:
    """Random pairs of misconceptions in different slots, the same ones every time."""
    every, rng, found = misconceptions(), random.Random(PAIR_SEED), []
    while len(found) < PAIRS:
        one, two = rng.sample(every, 2)
        if not set(one.changes) & set(two.changes):
            found.append(_both(one, two))
    return found


def _both(one: Entry, two: Entry) -> Entry:
    costs = {item: min(one.costs.get(item, 1.0), two.costs.get(item, 1.0)) for item in {**one.costs, **two.costs}}
    return Entry("pair", f"{one.id} + {two.id}", {**one.changes, **two.changes}, costs=costs)
