"""Extract Answers from a Submission: the answer to each slot, their prelude, and the written answers.

Student source is parsed in a limited child process (parsing.limited). If a cell exhausts the parser, the cells are
tried one by one, and only that cell is left out.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.core.records import Answer, Answers, Submission
from autograder.parsing.answers.written import find_written
from autograder.parsing.limited import LimitedError, ParseLimits, run_limited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assignment.registry import Spec

PlainCell = dict[str, Any]  # one cell as plain data: index, kind, source

HANDOUT = Path(__file__).resolve().parents[2] / "student_template" / "rlhf_kit" / "answers" / "handout.json"
ONE_CELL = ParseLimits(wall_s=12.0, cpu_s=4.0, memory_bytes=1 << 30)  # for one suspicious cell
SUSPECTS = 12  # how many of the longest cells are tried one by one if all together exhaust the parser
_UNREADABLE = "No code could be read. Run the notebook from top to bottom and hand it in again."


def extract(submission: Submission, spec: Spec) -> Answers:
    """Find the answers. Nothing is executed, and nothing that a student can write raises an exception.

    Every slot of the registry has its Answer. `prelude` holds the student's imports, helper functions and constants
    that the attempted slots need.
    """
    found, notes = _parse_tolerantly(_plain(submission), spec.slot_names)
    return Answers(
        prelude=found["prelude"],
        slots={slot.id: Answer(**found["slots"][slot.id]) for slot in spec.slots},
        written=written_answers(submission, spec),
        results=tuple(table for cell in submission.cells for table in cell.results),
        notes=(*submission.notes, *notes, *found["notes"]),
    )


def _parse_tolerantly(cells: Sequence[PlainCell], slots: Sequence[dict[str, str]]) -> tuple[dict[str, Any], list[str]]:
    """Parse the cells, and return their answers and notes on cells that had to be left out."""
    try:
        return _parse(cells, slots), []
    except LimitedError:
        pass
    suspects = sorted(cells, key=lambda cell: len(cell["source"]), reverse=True)[:SUSPECTS]
    bad = {cell["index"] for cell in suspects if not _can_parse(cell, slots)}
    notes = [f"Cell {index + 1} takes too much time or memory to read: left out." for index in sorted(bad)]
    try:
        return _parse([cell for cell in cells if cell["index"] not in bad], slots), notes
    except LimitedError:
        empty = {slot["id"]: {"slot": slot["id"], "state": "missing", "problem": _UNREADABLE} for slot in slots}
        return {"slots": empty, "prelude": "", "notes": []}, [_UNREADABLE]


def _parse(
    cells: Sequence[PlainCell], slots: Sequence[dict[str, str]], limits: ParseLimits | None = None
) -> dict[str, Any]:
    """Parse the cells in a limited child process. Raises LimitedError."""
    payload = {"cells": list(cells), "slots": list(slots)}
    found: dict[str, Any] = run_limited("autograder.parsing.cells:parse_cells", payload, limits=limits)
    return found


def _can_parse(cell: PlainCell, slots: Sequence[dict[str, str]]) -> bool:
    try:
        _parse([cell], slots, ONE_CELL)
    except LimitedError:
        return False
    return True


def written_answers(submission: Submission, spec: Spec) -> dict[str, str]:
    """Return the text under each question without the handout's lines, "" if unanswered, cut at written_chars."""
    most = spec.limits.intake.written_chars
    found = find_written(_plain(submission), spec.written, handout_lines())
    return {question: text[:most] for question, text in found.items()}


@lru_cache(maxsize=1)
def handout_lines() -> frozenset[str]:
    """Return the lines of the handout's written cells. A build notes them for the grader and for the students' kit."""
    if not HANDOUT.is_file():  # before the first build
        return frozenset()
    return frozenset(json.loads(HANDOUT.read_text(encoding="utf-8"))["written_lines"])


def _plain(submission: Submission) -> list[PlainCell]:
    return [{"index": cell.index, "kind": cell.kind, "source": cell.source} for cell in submission.cells]
