"""Reading what a build is made of. Whatever cannot be read ends in a SourceError, one sentence with the file in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.release.markers import Place, SourceError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCES = (".py", ".ipynb")  # a file that ends like this was meant for something


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); restore the file") from error


def read_text(path: Path) -> str:
    """The file's text, with line ends as `\\n`.

    Raises:
        SourceError: it cannot be read, or is not UTF-8.
    """
    return io.StringIO(_decoded(path.name, read_bytes(path)), newline=None).read()


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        place = Place(name, 1 + data.count(b"\n", 0, error.start))
        raise place.error(0, "is not UTF-8; save the file in that encoding") from error


def check_python(name: str, data: bytes) -> None:
    """Code that is shipped as it is has to be Python, or every student finds out at once.

    name: what the message calls the file.
    Raises:
        SourceError: it is not UTF-8 or does not parse.
    """
    parse(_decoded(name, data), Place(name, 1))


def names_in(directory: Path) -> list[str]:
    """The names of what is in a folder, sorted.

    Raises:
        SourceError: there is no such folder, or it cannot be read.
    """
    try:
        return sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise SourceError(f"{directory} cannot be read ({error.strerror}); restore the folder") from error


def refuse_strays(directory: Path, expected: Callable[[str], bool], why: str) -> None:
    """A folder of sources holds no Python file or notebook that the build would pass over in silence.

    Everything else is left alone: hidden files, `T07.py~` and other backups of editors, caches, notes.

    expected: whether a name is one that the build reads. why: ends the sentence.
    Raises:
        SourceError: there is one.
    """
    found = [
        name for name in names_in(directory)
        if Path(name).suffix.lower() in _SOURCES and not name.startswith(".") and not expected(name)
    ]  # fmt: skip
    if found:
        others = f" (the same holds for {', '.join(found[1:])})" if found[1:] else ""
        raise SourceError(f"{directory / found[0]} {why}{others}; move, rename or delete it")
