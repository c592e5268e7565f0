"""Folders of a world's artefacts: each is written as a whole, and its `manifest.json` lists the files' digests."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assignment.files import ForeignFileError, changed, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "manifest.json"
REFERENCE = Path(__file__).resolve().parents[2] / "autograder" / "reference" / "data"  # the grader's, never shipped


def refuse_foreign(*folders: Path) -> None:
    """Raise ForeignFileError if a folder that is to be replaced holds a file that its manifest does not describe."""
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            raise ForeignFileError(f"{folder} is a file, and a folder is needed there: move it away")
        sums = _sums(folder)
        here = sorted(path for path in folder.glob("*") if path.name != MANIFEST or not sums)
        foreign = [path.name for path in here if changed(path, {sums.get(path.name, "")})]
        if foreign:
            raise ForeignFileError(
                f"{folder} holds {', '.join(foreign)}, which its manifest does not describe: move what you want to "
                "keep, and remove the rest"
            )


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into. When the block ends without an error, its files replace those of `folder`,
    the manifest last. An error or an interrupt before that leaves `folder` unchanged."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        yield Path(scratch)
        folder.mkdir(exist_ok=True)
        new = {path.name: path for path in Path(scratch).iterdir()}
        for name in _sums(folder).keys() - new.keys():
            (folder / name).unlink(missing_ok=True)
        for name in sorted(new, key=lambda name: name == MANIFEST):
            new[name].replace(folder / name)


def write_manifest(folder: Path, **facts: Any) -> dict[str, Any]:
    """Write `manifest.json` with the facts and the sha256 of every other file. Returns its content."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    content = facts | {"sha256": {path.name: sha256(path.read_bytes()) for path in files}}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read; the worker is another user
    return content


def _sums(folder: Path) -> dict[str, str]:
    try:
        listed = json.loads((folder / MANIFEST).read_bytes())["sha256"]
        return {str(name): str(digest) for name, digest in listed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
