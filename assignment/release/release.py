"""The student release: what is generated into ``student_template/``, and the zip that students get.

``build()`` is pure (it reads files and returns bytes); ``write()`` is the only function here that
changes the disk, and it leaves alone what a person edited. Two builds of the same sources give the same bytes.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.files import ForeignFileError, changed, sha256, write_whole
from assignment.registry import REGISTRY, Spec, load_spec
from assignment.release.markers import SourceError
from assignment.release.notebook import to_bytes, to_notebook
from assignment.release.passes import Options
from assignment.release.reading import check_python, names_in, read_bytes, refuse_strays
from assignment.release.source import Cell, load_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

REPO = Path(__file__).resolve().parents[2]
NOTEBOOK = "rlhf.ipynb"
MANIFEST = "manifest.json"
ZIP_NAME = "rlhf-student.zip"

# What may be in the zip; anything else in student_template/ stays there. One level per pattern part.
ALLOWED = (
    NOTEBOOK, "README.md", "requirements.txt", MANIFEST, "tests/*.py",
    "rlhf_kit/**/*.py", "rlhf_kit/**/*.jsonl.gz", "rlhf_kit/**/*.json", "rlhf_kit/**/*.safetensors",
)  # fmt: skip
REQUIRED = (NOTEBOOK, "README.md", "requirements.txt", MANIFEST, "rlhf_kit/__init__.py")

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say


@dataclass(frozen=True)
class Layout:
    """Where things are; tests point it elsewhere."""

    solutions: Path = REPO / "solutions"
    template: Path = REPO / "student_template"
    dist: Path = REPO / "dist"
    samples: Path = REPO / "tests" / "submissions"
    registry: Path = REGISTRY


@dataclass(frozen=True)
class Release:
    """A build in memory. `generated` and `shipped` map POSIX paths in the release to bytes."""

    spec: Spec
    cells: tuple[Cell, ...]
    generated: Mapping[str, bytes]
    shipped: Mapping[str, bytes]
    solved: bytes

    @property
    def archive(self) -> bytes:
        """The student zip."""
        return make_zip(self.shipped)


def allowed(path: str) -> bool:
    """Whether a file of this name, relative to the release's root, may be shipped.

    `**` stands for any number of folders; a name that begins with a dot is never shipped.
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


def build(layout: Layout | None = None, spec: Spec | None = None) -> Release:
    """Read the sources and make the whole release in memory. spec: the layout's registry, where it is loaded already.

    Raises:
        SourceError: a part, a public check or a file of the template is missing or wrong.
    """
    layout = layout or Layout()
    spec = spec or load_spec(layout.registry)
    cells = load_parts(spec, layout.solutions)
    generated = {NOTEBOOK: to_bytes(to_notebook(cells, Options(spec, solved=False)))}
    generated |= _checks(spec, layout.solutions / "checks")
    shipped = {**_hand_written(layout.template), **generated}
    generated[MANIFEST] = shipped[MANIFEST] = manifest(spec, shipped)
    missing = [path for path in REQUIRED if path not in shipped]
    if missing:
        raise SourceError(f"{layout.template}: missing {', '.join(missing)}, which every release needs; restore it")
    solved = to_bytes(to_notebook(cells, Options(spec, solved=True)))
    return Release(spec, cells, dict(sorted(generated.items())), dict(sorted(shipped.items())), solved)


def _checks(spec: Spec, directory: Path) -> dict[str, bytes]:
    """The public checks as they are shipped: one file per slot, unchanged."""
    expected = {f"{slot.id}.py" for slot in spec.slots}
    refuse_strays(directory, expected.__contains__, "belongs to no slot of assignment.toml")
    missing = sorted(expected - set(names_in(directory)))
    if missing:
        raise SourceError(f"{directory}: missing public check {', '.join(missing)}; every slot has one")
    checks = {name: read_bytes(directory / name) for name in sorted(expected)}
    for name, data in checks.items():
        check_python(f"{directory.name}/{name}", data)
    return {f"tests/{name}": data for name, data in checks.items()}


def _hand_written(template: Path) -> dict[str, bytes]:
    """The allow-listed files that people wrote: README, requirements, the kit and its data."""
    files = {}
    for folder, subfolders, names in os.walk(template, onerror=_unreadable):
        subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(template).as_posix()
            generated = relative in (NOTEBOOK, MANIFEST) or relative.startswith("tests/")
            if allowed(relative) and not generated:
                files[relative] = read_bytes(path)
                if path.suffix == ".py":
                    check_python(relative, files[relative])
    return files


def _unreadable(error: OSError) -> None:
    """os.walk finds nothing in a folder that is missing or closed, and says nothing unless it is told to."""
    raise SourceError(f"{error.filename} cannot be read ({error.strerror}); restore the folder") from error


def manifest(spec: Spec, shipped: Mapping[str, bytes]) -> bytes:
    """manifest.json: sha256 of each shipped file but itself, sorted by path."""
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
    """A zip that depends on names and bytes alone: fixed times and modes, sorted names.

    Stored, not deflated: compressed bytes differ between zlib versions, and the large files
    (weights, gzipped data) would not shrink.

    Raises:
        SourceError: a name is not on the allow-list.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            if not allowed(name):
                raise SourceError(f"{name} is not on the release's allow-list (assignment/release/release.py)")
            info = zipfile.ZipInfo(name, _TIMESTAMP)
            info.create_system = 3  # Unix, whatever builds it
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name])
    return buffer.getvalue()


def stale(release: Release, layout: Layout) -> list[str]:
    """What differs between the generated files and those on disk, one sentence each."""
    problems = []
    for relative, data in release.generated.items():
        path = layout.template / relative
        if not path.is_file():
            problems.append(f"{relative} is missing")
        elif path.read_bytes() != data:
            problems.append(f"{relative} is stale")
    for path in sorted((layout.template / "tests").glob("*.py")):
        if f"tests/{path.name}" not in release.generated:
            problems.append(f"tests/{path.name} is no longer generated")
    return problems


def edited(release: Release, layout: Layout) -> list[Path]:
    """Files that `write` would replace or remove although they are not as a build left them.

    The manifest on disk says what the last build wrote.
    """
    known = _listed(layout.template / MANIFEST)
    here = {f"tests/{path.name}" for path in (layout.template / "tests").glob("*.py")}
    found = []
    for relative in sorted({*release.generated, *here} - ({MANIFEST} if known else set())):
        ours = [known.get(relative, "")]
        if relative in release.generated:
            ours.append(sha256(release.generated[relative]))
        if changed(layout.template / relative, ours):
            found.append(layout.template / relative)
    target = layout.dist / ZIP_NAME
    return [*found, target] if os.path.lexists(target) and not _is_release(target) else found


def _listed(path: Path) -> dict[str, str]:
    """The digests in a manifest, by file; nothing where it cannot be read."""
    try:
        return {name: str(entry["sha256"]) for name, entry in json.loads(path.read_bytes())["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_release(path: Path) -> bool:
    """Whether a file is a student zip as a build left it: its manifest describes all of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        listed = json.loads(found.pop(MANIFEST))["files"]
        return {name: sha256(data) for name, data in found.items()} == {n: one["sha256"] for n, one in listed.items()}
    except Exception:  # a zip can be damaged in many ways, and then it is not one of ours
        return False


def write(release: Release, layout: Layout, *, overwrite: bool = False) -> Path:
    """Write the generated files into the template and the zip into dist; returns the zip's path.

    overwrite: replace edited files too.
    Raises:
        ForeignFileError: a file in the way was edited, or is not of a build (`edited`); nothing is written.
        OSError: a file cannot be written.
    """
    if not overwrite and (found := edited(release, layout)):
        raise ForeignFileError(
            f"a build would replace what it did not write: {', '.join(map(str, found))}. Keep what you need "
            "elsewhere (solutions/ is what a build reads), then run `rlhf-lab build --overwrite`"
        )
    for path in sorted((layout.template / "tests").glob("*.py")):
        if f"tests/{path.name}" not in release.generated:
            path.unlink()
    for relative, data in release.generated.items():
        path = layout.template / relative
        if not path.is_file() or path.read_bytes() != data:
            write_whole(path, data)
    target = layout.dist / ZIP_NAME
    write_whole(target, release.archive)
    return target
