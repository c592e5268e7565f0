"""The rule for files that commands write: as a whole or not at all, and never over what a person wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assignment.files import PARTIAL, changed, sha256, write_atomically


@pytest.mark.parametrize("breaks", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file_and_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str, error: BaseException
) -> None:
    path = tmp_path / "page.md"
    write_atomically(path, "older")

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(*((os, "fsync") if breaks == "fsync" else (Path, "replace")), broken)
    with pytest.raises(type(error)):
        write_atomically(path, "newer")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"page.md": "older"}


def test_a_partial_file_of_a_killed_command_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "page.md"
    path.parent.mkdir()
    (path.parent / PARTIAL.format(path.name)).write_text("half")
    write_atomically(path, "whole ü")
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == {"page.md": "whole ü".encode()}


def test_a_missing_file_or_one_with_a_known_digest_counts_as_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert not changed(path, ())
    path.write_bytes(b"ours")
    assert not changed(path, {sha256(b"ours")})
    assert changed(path, {sha256(b"other")})
    assert changed(path, ())
    assert changed(tmp_path, {sha256(b"")})  # a folder in the file's place
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    assert changed(path, {sha256(b"ours")})
