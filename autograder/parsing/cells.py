"""Parse all cells into answers and a prelude: the part of extraction that runs in the limited child process.

This room imports only the standard library, so that the child starts in tens of milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autograder.parsing.answers.slots import find_answers
from autograder.parsing.prelude import build_prelude

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse_cells(payload: Mapping[str, Any], _: bytes = b"") -> dict[str, Any]:
    """Turn {"cells", "slots"} into {"slots", "prelude", "notes"}, all plain data."""
    found = find_answers(payload["cells"], payload["slots"])
    sources = {key: answer["source"] for key, answer in found.answers.items() if answer["state"] == "present"}
    prelude, more = build_prelude(found.pieces, sources, payload["slots"])
    return {"slots": found.answers, "prelude": prelude, "notes": found.notes + more}
