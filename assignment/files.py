"""The rule for every file that the instructor's and the grader's commands write.

What we wrote is replaced as a whole: an interrupt leaves the old file or the new one, never a half. What we did
not write, or what was changed since, is never replaced: the command says so and ends before it does any work.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

PARTIAL = ".{}.partial"  # what a file is called while it is written


class ForeignFileError(Exception):
    """A file that we did not write stands where one of ours belongs; the message says which and what to do."""


def sha256(data: bytes) -> str:
    """The digest by which our files are recognised."""
    return hashlib.sha256(data).hexdigest()


def changed(path: Path, known: Collection[str]) -> bool:
    """Whether something stands at `path` that is not a file with one of the `known` digests."""
    return os.path.lexists(path) and not (path.is_file() and sha256(path.read_bytes()) in known)


def write_partial(path: Path, data: bytes) -> Path:
    """Write data beside `path`, safely on disk, to be renamed to it; the name of what was written.

    Raises:
        OSError: it cannot be written, and nothing is left.
    """
    scratch = path.with_name(PARTIAL.format(path.name))
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    return scratch


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file of ours, or leave what was there: a text as UTF-8, folders made where they are missing.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = write_partial(path, data.encode("utf-8") if isinstance(data, str) else data)
    try:
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
