"""Find the one notebook in the bytes that were handed in. Runs in the limited child process (limited.py).

Nothing is extracted to disk: members that end in ``.ipynb`` are read into memory, each up to a limit. Reading stops at
the limit, because the sizes that a zip states cannot be trusted.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import stat
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from autograder.parsing.answers.notebook import RejectedError, read_notebook
from autograder.parsing.answers.slots import count_slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANDIDATES = 20  # most notebooks that are compared; nobody hands in more by accident
_SKIPPED_FOLDERS = {"__MACOSX", ".ipynb_checkpoints", ".Trash", ".git"}
NAME_CHARS = 120  # most characters of a file name in reports
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError, KeyError)
_RESAVE = "Save the notebook, make the zip again, or hand in the .ipynb file itself."
_OTHER_FILES = {
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x89PNG": "a picture",
}


def parse_submission(payload: Mapping[str, Any], raw: bytes) -> dict[str, Any]:
    """Read a notebook or a zip into {"cells", "notes"} as plain data (see read_notebook).

    Args:
        payload: {"limits": the registry's [limits.intake], "slots": [{"id", "name"}]}.
        raw: the file's content.

    Raises:
        RejectedError: not a submission; the message continues a sentence that starts with the file's name.
    """
    limits = payload["limits"]
    if raw.startswith(b"PK"):
        return read_archive(raw, limits, payload["slots"])
    for magic, kind in _OTHER_FILES.items():
        if raw.startswith(magic):
            raise RejectedError(f"is {kind}, not a notebook. Hand in the .ipynb file, or a zip with it.")
    return read_notebook(raw, limits)


def read_archive(raw: bytes, limits: Mapping[str, int], slots: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Read the zip's notebook into {"cells", "notes"}; of several, the one with most answered slots.

    Raises:
        RejectedError: no notebook, a tie, a zip bomb, a damaged or encrypted zip.
    """
    members, notes = _members(raw, limits["zip_members"])
    if not members:
        raise RejectedError("is a zip without a notebook. Put your .ipynb file into it, or hand it in alone.")
    found: dict[bytes, tuple[str, dict[str, Any]]] = {}
    failures: list[RejectedError] = []
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in members:
            try:
                content = _read_member(archive, member, limits)
                key = hashlib.sha256(content).digest()  # the same notebook twice is no conflict
                found.setdefault(key, (member.filename, read_notebook(content, limits)))
            except RejectedError as error:
                failures.append(RejectedError(f"holds {display_name(member.filename)}, which {error}"))
    if not found:
        raise failures[0]
    name, notebook = _best(list(found.values()), slots)
    if len(members) > 1:
        notes.append(f"The zip holds {len(members)} notebooks; {display_name(name)} was graded.")
    return {"cells": notebook["cells"], "notes": notes + notebook["notes"]}


def _members(raw: bytes, most: int) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """List the zip's notebooks that may be read, and notes on those that were left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        raise RejectedError(f"is a damaged zip. {_RESAVE}") from None
    if len(entries) > most:
        raise RejectedError(f"is a zip with more than {most:,} files. Put only your notebook into it.")
    members, notes = [], []
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        if not parts[-1].lower().endswith(".ipynb") or parts[-1].startswith("._"):
            continue
        if _SKIPPED_FOLDERS & set(parts):
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            notes.append("A link in the zip was left out: only the file itself can be graded.")
        elif ".." in parts or parts[0] == "" or ":" in parts[0]:
            notes.append("A file in the zip whose name leads outside the zip was left out.")
        else:
            members.append(entry)
    if not members and notes:
        raise RejectedError(f"is a zip without a usable notebook. {notes[0]} {_RESAVE}")
    if len(members) > CANDIDATES:
        raise RejectedError(f"is a zip with {len(members)} notebooks. Put only the one to be graded into it.")
    return members, notes


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Mapping[str, int]) -> bytes:
    """Read one member's bytes. Raises RejectedError, whose message continues a sentence after "which"."""
    most = limits["notebook_bytes"]
    if member.flag_bits & 1:
        raise RejectedError("is protected by a password. Make the zip again without one.")
    try:
        with archive.open(member) as file:
            content = file.read(most + 1)
    except NotImplementedError:
        raise RejectedError("is packed by an unusual method. Make an ordinary zip.") from None
    except _DAMAGE:
        raise RejectedError(f"is damaged. {_RESAVE}") from None
    ratio = len(content) / max(1, member.compress_size)
    if len(content) > most or (len(content) > limits["source_bytes"] and ratio > limits["zip_ratio_max"]):
        raise RejectedError(f"unpacks to too much (at most {most >> 20} MB). Clear all outputs and save it again.")
    return content


def _best(
    notebooks: list[tuple[str, dict[str, Any]]], slots: Sequence[Mapping[str, str]]
) -> tuple[str, dict[str, Any]]:
    """Return the name and content of the notebook with most answered slots, then with most slots.

    Raises RejectedError, which names both notebooks, if two are equal.
    """
    if len(notebooks) == 1:
        return notebooks[0]
    ranked = sorted(
        ((count_slots(notebook["cells"], slots), name, notebook) for name, notebook in notebooks),
        key=lambda entry: entry[0],
        reverse=True,
    )
    (first, name, notebook), (second, other, _) = ranked[:2]
    if first == second:
        raise RejectedError(
            f"is a zip with two notebooks that answer equally many slots: {display_name(name)} and "
            f"{display_name(other)}. Put only the one to be graded into it."
        )
    return name, notebook


def display_name(name: str, most: int = NAME_CHARS) -> str:
    """Make a file name safe to print: without control characters and surrogates, and cut to `most` characters."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
