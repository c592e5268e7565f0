"""Read a saved notebook as the grader will: which slots and written questions it answers.

`rlhf_kit.answers` holds the grader's own modules, so that export and grader agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .answers.notebook import read_notebook
from .answers.slots import find_answers
from .answers.written import find_written

HANDOUT = Path(__file__).resolve().parent / "answers" / "handout.json"
_SLOT_LINE = re.compile(r"^# TODO [A-Z]\d\d\b", re.MULTILINE)


@dataclass(frozen=True)
class SavedWork:
    """What a notebook holds.

    cells: `index`, `kind`, `source` and `results` of each. names: slot -> name of its function or class.
    answers: slot -> `state` ("present", "blank", "broken" or "missing"), `cell`, `problem` and more.
    written: question -> text, "" if there is none. notes: on copies of slots and on unreadable cells.
    """

    cells: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]
    answers: Mapping[str, Mapping[str, Any]]
    written: Mapping[str, str]
    notes: Sequence[str]

    @property
    def slots(self) -> dict[str, bool]:
        """Return slot -> whether it is answered."""
        return {slot: answer["state"] == "present" for slot, answer in self.answers.items()}

    @property
    def traces(self) -> int:
        """Return the number of slots of which the notebook holds something, in whatever state."""
        return sum(answer["cell"] is not None for answer in self.answers.values())

    @property
    def is_assignment(self) -> bool:
        """Return whether this is the assignment's notebook, and not one that uses some of its functions."""
        marked = any(_SLOT_LINE.search(cell["source"]) for cell in self.cells)
        return marked or 2 * self.traces > len(self.answers)

    @property
    def results(self) -> list[Any]:
        """Return everything that `record` left in the saved outputs, in cell order."""
        return [table for cell in self.cells for table in cell["results"]]


def read_work(raw: bytes) -> SavedWork:
    """Read a notebook. RejectedError if it cannot be read; its message goes on after the file's name."""
    handout = _handout()
    notebook = read_notebook(raw, handout["limits"])
    cells = notebook["cells"]
    found = find_answers(cells, handout["slots"])
    return SavedWork(
        cells,
        {slot["id"]: slot["name"] for slot in handout["slots"]},
        found.answers,
        find_written(cells, handout["written"], handout["written_lines"]),
        [*notebook["notes"], *found.notes],
    )


def limits() -> dict[str, int]:
    """Return the grader's limits on the sizes of notebooks and zips."""
    return dict(_handout()["limits"])


@cache
def _handout() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(HANDOUT.read_text(encoding="utf-8"))
    return content
