"""Read the files of a build. A file that cannot be read raises a SourceError with one sentence that names it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.release.markers import Location, SourceError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCES = (".py", ".ipynb")  # a file of this kind is meant to be read


def read_bytes(path: Path) -> bytes:
    """Return the file's content.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); restore the file") from error


def read_text(path: Path) -> str:
    """Return the file's text, with line ends as `\\n`.

    Raises:
        SourceError: it cannot be read, or is not UTF-8.
    """
    return io.StringIO(_decoded(path.name, read_bytes(path)), newline=None).read()


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        location = Location(name, 1 + data.count(b"\n", 0, error.start))
        raise location.error(0, "is not UTF-8; save the file in that encoding") from error


def check_python(name: str, data: bytes) -> None:
    """Check that a file of the release is Python that parses. name: the name that the message gives the file.

    Raises:
        SourceError: it is not UTF-8 or does not parse.
    """
    parse(_decoded(name, data), Location(name, 1))


def names_in(directory: Path) -> list[str]:
    """Return the names of all entries of a folder, sorted.

    Raises:
        SourceError: there is no such folder, or it cannot be read.
    """
    try:
        return sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise SourceError(f"{directory} cannot be read ({error.strerror}); restore the folder") from error


def refuse_strays(directory: Path, expected: Callable[[str], bool], why: str) -> None:
    """Check that the build reads every Python file and notebook of a folder, except hidden ones.

    Files of other kinds may stand there: backups such as `T07.py~`, caches, notes. expected: whether the build reads
    a file of this name. why: the end of the error message.

    Raises:
        SourceError: the build would ignore a file.
    """
    found = [
        name for name in names_in(directory)
        if Path(name).suffix.lower() in _SOURCES and not name.startswith(".") and not expected(name)
    ]  # fmt: skip
    if found:
        others = f" (the same holds for {', '.join(found[1:])})" if found[1:] else ""
        raise SourceError(f"{directory / found[0]} {why}{others}; move, rename or delete it")
