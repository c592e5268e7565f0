"""Read a file or a zip into a Submission, in memory and within limits on its size.

The file is parsed in a limited child process (parsing.limited), so that a hostile archive or notebook can crash that
child but not the grader. Every problem raises an IntakeError whose message says what the sender should do.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.core.records import Cell, Submission
from autograder.parsing.answers.notebook import RejectedError
from autograder.parsing.archive import display_name
from autograder.parsing.limited import LimitedError, run_limited

if TYPE_CHECKING:
    from assignment.registry import Spec

_CLEAR = "Clear all outputs, save the notebook and hand it in again."
_FAILURES = {
    "timeout": "took too long to read",
    "out_of_memory": "needs too much memory to read",
    "too_large": "holds too much to read",
    "crashed": "cannot be read",
}


class IntakeError(ValueError):
    """The path is not a submission that can be graded.

    The message is for a person: which file is wrong, in which way, and what to do.
    """


def read_submission(path: Path | str, spec: Spec) -> Submission:
    """Read a notebook, or a zip with one, as it was handed in.

    Of several notebooks in a zip, the one with most answered slots is taken; a tie is an error.

    Args:
        path: the file. Its name does not matter for grading.
        spec: the registry, for the limits on sizes and for the slots.

    Raises:
        IntakeError: for everything that can be wrong with the file; nothing else is raised.
    """
    path = Path(path)
    name = display_name(path.name or str(path))
    raw = _read_capped(path, name, spec.limits.intake.file_bytes)
    payload = {"limits": spec.limits.intake.model_dump(), "slots": spec.slot_names}
    try:
        found = run_limited("autograder.parsing.archive:parse_submission", payload, raw)
    except RejectedError as error:
        raise IntakeError(f"{name} {error}") from None
    except LimitedError as error:
        what = _FAILURES.get(error.kind, "cannot be read")
        raise IntakeError(f"{name} {what}. {_CLEAR}") from None
    cells = tuple(Cell(cell["index"], cell["kind"], cell["source"], tuple(cell["results"])) for cell in found["cells"])
    return Submission(name, hashlib.sha256(raw).hexdigest(), cells, tuple(found["notes"]))


def _read_capped(path: Path, name: str, most: int) -> bytes:
    """Read a regular file of at most `most` bytes. Raises IntakeError."""
    try:
        mode = path.stat().st_mode
        raw = b""
        if stat.S_ISREG(mode):  # opening a pipe would block forever
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
