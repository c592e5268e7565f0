"""All code cells -> answers and prelude as plain data: the part of extraction that runs in the limited child.

It imports the standard library alone, so that the child starts in tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autograder.parsing.prelude import build_prelude
from autograder.parsing.slots import find_answers, pieces_of


def parse_cells(payload: Mapping[str, Any], _: bytes = b"") -> dict[str, Any]:
    """{"cells", "slots"} -> {"slots", "prelude", "notes"} as plain data. Runs in the limited child."""
    pieces = pieces_of(payload["cells"], payload["slots"])
    answers, notes = find_answers(pieces, payload["slots"])
    sources = {key: answer["source"] for key, answer in answers.items() if answer["state"] == "present"}
    prelude, more = build_prelude(pieces, sources, payload["slots"])
    return {"slots": answers, "prelude": prelude, "notes": notes + more}
