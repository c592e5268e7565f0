"""Make the zip for students: which files it may hold, its manifest, and its bytes."""

from __future__ import annotations

import io
import json
import zipfile
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from assignment.files import sha256
from assignment.release.markers import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from assignment.registry import Spec

NOTEBOOK = "rlhf.ipynb"
MANIFEST = "manifest.json"

# The files of student_template/ that may be in the zip.
ALLOWED = (
    NOTEBOOK, "README.md", "requirements.txt", MANIFEST, "tests/*.py",
    "rlhf_kit/**/*.py", "rlhf_kit/**/*.jsonl.gz", "rlhf_kit/**/*.json", "rlhf_kit/**/*.safetensors",
)  # fmt: skip
REQUIRED = (NOTEBOOK, "README.md", "requirements.txt", MANIFEST, "rlhf_kit/__init__.py")

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


def allowed(path: str) -> bool:
    """Return whether a file may be in the zip. path: relative to the release's root.

    In ALLOWED, `**` stands for any number of folders. A name that begins with a dot is never allowed.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or part == "__pycache__" for part in parts):
        return False
    for pattern in ALLOWED:
        folder, _, name = pattern.rpartition("/")
        deep = folder.endswith("/**")
        root = folder.removesuffix("/**")
        parent = "/".join(parts[:-1])
        placed = parent == root or (deep and parent.startswith(root + "/"))
        if placed and fnmatchcase(parts[-1], name):
            return True
    return False


def make_manifest(spec: Spec, shipped: Mapping[str, bytes]) -> bytes:
    """Make manifest.json: size and sha256 of each other file of the zip, sorted by path."""
    content = {
        "assignment": spec.id,
        "version": spec.version,
        "files": {
            path: {"bytes": len(data), "sha256": sha256(data)}
            for path, data in sorted(shipped.items()) if path != MANIFEST
        },
    }  # fmt: skip
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """Make a zip that depends on names and contents alone: times and modes are fixed, names are sorted.

    Files are stored without compression, because compressed bytes differ between versions of zlib and the large
    files (weights, gzipped data) would not get smaller.

    Raises:
        SourceError: a file is not allowed in the zip.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            if not allowed(name):
                raise SourceError(f"{name} may not be in the release (ALLOWED in assignment/release/archive.py)")
            info = zipfile.ZipInfo(name, _TIMESTAMP)
            info.create_system = 3  # Unix, on every system
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name])
    return buffer.getvalue()


def is_unedited(path: Path) -> bool:
    """Return whether a file is a zip exactly as a build wrote it: its manifest describes every file."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        listed = json.loads(found.pop(MANIFEST))["files"]
        return {name: sha256(data) for name, data in found.items()} == {n: one["sha256"] for n, one in listed.items()}
    except Exception:  # noqa: BLE001 (a zip can be damaged in many ways)
        return False
