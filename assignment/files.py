"""Write files by the rule for every command of the instructor's and the grader's side.

A file that a command wrote is replaced as a whole: after an interrupt it is the old or the new one. A file that no
command wrote, or that was edited since, is never replaced: the command names it and ends before it does any work.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

PARTIAL = ".{}.partial"  # name of a file while it is being written


class ForeignFileError(Exception):
    """A file that no command wrote stands where a command would write; the message says which, and what to do."""


def sha256(data: bytes) -> str:
    """Return the digest by which a command recognises the files that it wrote."""
    return hashlib.sha256(data).hexdigest()


def changed(path: Path, known: Collection[str]) -> bool:
    """Return whether something exists at `path` that is not a file with one of the `known` digests."""
    return os.path.lexists(path) and not (path.is_file() and sha256(path.read_bytes()) in known)


def write_partial(path: Path, data: bytes) -> Path:
    """Write data to a partial file beside `path`, flush it to disk, and return its path, to be renamed to `path`.

    Raises:
        OSError: it cannot be written. No partial file is left.
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


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file as a whole, a str as UTF-8, and make its folders. An interrupt leaves the old file.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = write_partial(path, data.encode("utf-8") if isinstance(data, str) else data)
    try:
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
