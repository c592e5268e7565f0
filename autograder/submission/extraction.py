"""Submission -> Answers: the answer to each slot by its name, their prelude, and the written answers.

Student source is parsed in a limited child process (limited.py). Should a cell be built to exhaust
the parser, the cells are tried one by one and that cell alone is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from assignment.registry import Spec
from autograder.core.records import Answer, Answers, Submission
from autograder.parsing.limited import LimitedError, ParseLimits, Rejected, run_limited
from autograder.parsing.notebook import read_notebook

PlainCell = dict[str, Any]  # one cell as plain data: index, kind, source

TEMPLATE = Path(__file__).resolve().parents[2] / "student_template" / "rlhf.ipynb"
PROBE = ParseLimits(wall_s=12.0, cpu_s=4.0, memory_bytes=1 << 30)  # for one suspicious cell
SUSPECTS = 12  # the longest cells, tried one by one when all together exhaust the parser
_WRITTEN = re.compile(r"\s*<!--\s*WRITTEN\s+(W\d+)\b[^\n]*(?:\n|\Z)", re.IGNORECASE)
_UNREADABLE = "No code could be read. Run the notebook from top to bottom and hand it in again."


def extract(submission: Submission, spec: Spec) -> Answers:
    """Find the answers. Never raises for anything a student can write.

    Every slot of the registry has its Answer; `prelude` holds what the attempted ones need of the
    student's own imports, helper functions and constants. Nothing is executed.
    """
    cells = [{"index": c.index, "kind": c.kind, "source": c.source} for c in submission.cells]
    slots = [{"id": slot.id, "name": slot.name} for slot in spec.slots]
    found, notes = _parsed([cell for cell in cells if cell["kind"] == "code"], slots)
    return Answers(
        prelude=found["prelude"],
        slots={slot.id: Answer(**found["slots"][slot.id]) for slot in spec.slots},
        written=written_answers(submission, spec),
        results=tuple(table for cell in submission.cells for table in cell.results),
        notes=(*submission.notes, *notes, *found["notes"]),
    )


def _parsed(cells: Sequence[PlainCell], slots: Sequence[dict[str, str]]) -> tuple[dict[str, Any], list[str]]:
    """The cells' answers, and notes on cells that had to be left out."""
    try:
        return _run(cells, slots), []
    except LimitedError:
        pass
    suspects = sorted(cells, key=lambda cell: len(cell["source"]), reverse=True)[:SUSPECTS]
    bad = {cell["index"] for cell in suspects if not _readable(cell, slots)}
    notes = [f"Cell {index + 1} takes too much time or memory to read: left out." for index in sorted(bad)]
    try:
        return _run([cell for cell in cells if cell["index"] not in bad], slots), notes
    except LimitedError:
        empty = {
            slot["id"]: {"slot": slot["id"], "state": "missing", "problem": _UNREADABLE} for slot in slots
        }
        return {"slots": empty, "prelude": "", "notes": []}, [_UNREADABLE]


def _run(
    cells: Sequence[PlainCell], slots: Sequence[dict[str, str]], limits: ParseLimits | None = None
) -> dict[str, Any]:
    payload = {"cells": list(cells), "slots": list(slots)}
    return run_limited("autograder.parsing.cells:parse_cells", payload, limits=limits)


def _readable(cell: PlainCell, slots: Sequence[dict[str, str]]) -> bool:
    try:
        _run([cell], slots, PROBE)
    except LimitedError:
        return False
    return True


def written_answers(submission: Submission, spec: Spec) -> dict[str, str]:
    """The text under each `<!-- WRITTEN W1 · … -->`, without the template's own lines; "" if unanswered.

    Of two cells for one question the last that says something counts. Cut at the registry's
    written_chars.
    """
    template = _template_lines(tuple(spec.limits.intake.model_dump().items()))
    texts = dict.fromkeys(spec.written, "")
    for cell in submission.cells:
        match = _WRITTEN.match(cell.source)
        if cell.kind == "code" or match is None or match[1].upper() not in texts:
            continue
        own = [line for line in cell.source[match.end() :].split("\n") if line.strip() not in template]
        if text := "\n".join(own).strip():
            texts[match[1].upper()] = text[: spec.limits.intake.written_chars]
    return texts


@lru_cache(maxsize=8)
def _template_lines(caps: tuple[tuple[str, int], ...]) -> frozenset[str]:
    """Lines of the handout's written cells: prompt and placeholder, which are not an answer. caps: of intake."""
    lines = {"*Your answer.*", "*Your answer here.*"}
    if TEMPLATE.is_file():
        try:
            cells = read_notebook(TEMPLATE.read_bytes(), dict(caps))["cells"]
        except Rejected:
            cells = []
        for cell in cells:
            if cell["kind"] == "markdown" and _WRITTEN.match(cell["source"]):
                lines |= {line.strip() for line in cell["source"].split("\n") if line.strip()}
    return frozenset(lines)
