"""File or zip -> Submission: capped, in memory, never extracted to disk.

The file is parsed in a limited child process (limited.py): a hostile archive or notebook can cost
that child its life, not the grader's. Every problem ends in an IntakeError whose message says what
the sender should do.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from assignment.registry import Spec
from autograder.core.records import Cell, Submission
from autograder.parsing.archive import display_name
from autograder.parsing.limited import LimitedError, Rejected, run_limited

_CLEAR = "Clear all outputs, save the notebook and hand it in again."
_FAILURES = {
    "timeout": "took too long to read",
    "out_of_memory": "needs too much memory to read",
    "too_large": "holds too much to read",
    "crashed": "cannot be read",
}


class IntakeError(ValueError):
    """The path is not a submission that can be graded. The message is one or two sentences for a person:
    what is wrong with which file, and what to do."""


def read_submission(path: Path | str, spec: Spec) -> Submission:
    """Read a notebook, or a zip with one, as it was handed in.

    Of two notebooks in a zip, the one with most answered slots is taken; a tie is refused.

    Args:
        path: the file; its name plays no part in grading.
        spec: the registry, for the caps on sizes and for the slots.

    Raises:
        IntakeError: whatever is wrong with the file; never anything else.
    """
    path = Path(path)
    name = display_name(path.name or str(path))
    raw = _read_capped(path, name, spec.limits.intake.file_bytes)
    payload = {
        "limits": spec.limits.intake.model_dump(),
        "slots": [{"id": slot.id, "name": slot.name} for slot in spec.slots],
    }
    try:
        found = run_limited("autograder.parsing.archive:parse_submission", payload, raw)
    except Rejected as error:
        raise IntakeError(f"{name} {error}") from None
    except LimitedError as error:
        what = _FAILURES.get(error.kind, "cannot be read")
        raise IntakeError(f"{name} {what}. {_CLEAR}") from None
    cells = tuple(
        Cell(cell["index"], cell["kind"], cell["source"], tuple(cell["results"])) for cell in found["cells"]
    )
    return Submission(name, hashlib.sha256(raw).hexdigest(), cells, tuple(found["notes"]))


def _read_capped(path: Path, name: str, most: int) -> bytes:
    """The file's bytes, of a regular file of at most `most` bytes."""
    try:
        mode = path.stat().st_mode
        raw = b""
        if stat.S_ISREG(mode):  # opening a pipe would wait for ever
            with path.open("rb") as file:
                raw = file.read(most + 1)
    except FileNotFoundError:
        raise IntakeError(f"{name} does not exist. Check the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise IntakeError(f"{name} cannot be opened: {reason}. Check the path and its permissions.") from None
    if stat.S_ISDIR(mode):
        raise IntakeError(f"{name} is a folder. Give the path of the .ipynb file, or of a zip with it.")
    if not stat.S_ISREG(mode):
        raise IntakeError(f"{name} is not a regular file. Give the path of the .ipynb file.")
    if len(raw) > most:
        raise IntakeError(f"{name} is larger than {most >> 20} MB. {_CLEAR}")
    return raw
