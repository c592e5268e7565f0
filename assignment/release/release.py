"""Build the student release: the generated files of ``student_template/`` and the zip for students.

``build()`` reads files and returns bytes. ``write()`` is the only function here that writes to disk, and it does not
replace what a person edited. Two builds of the same sources give the same bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.files import ForeignFileError, changed, sha256, write_atomically
from assignment.registry import REGISTRY, Spec, load_spec
from assignment.registry.claims import CLAIMS
from assignment.release.answers import FOLDER as ANSWERS
from assignment.release.answers import make_answers
from assignment.release.archive import MANIFEST, NOTEBOOK, REQUIRED, allowed, is_unedited, make_manifest, make_zip
from assignment.release.markers import SourceError
from assignment.release.notebook import to_bytes, to_notebook
from assignment.release.passes import BuildOptions
from assignment.release.reading import check_python, names_in, read_bytes, refuse_strays
from assignment.release.source import Cell, load_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

REPO = Path(__file__).resolve().parents[2]
ZIP_NAME = "rlhf-student.zip"
GENERATED_FOLDERS = ("tests/", ANSWERS)  # of the template: a build writes every file in them


@dataclass(frozen=True)
class Layout:
    """The folders that a build reads and writes; tests use others."""

    solutions: Path = REPO / "solutions"
    template: Path = REPO / "student_template"
    dist: Path = REPO / "dist"
    samples: Path = REPO / "tests" / "submissions"
    registry: Path = REGISTRY
    claims: Path = CLAIMS
    answers: Path = REPO / "autograder" / "parsing" / "answers"  # modules of the grader that students get too


@dataclass(frozen=True)
class Release:
    """A build in memory.

    generated: the files that a build writes into student_template/. shipped: all files of the zip. Both map a path in
    the release, with slashes, to bytes. solved: the solved notebook.
    """

    spec: Spec
    cells: tuple[Cell, ...]
    generated: Mapping[str, bytes]
    shipped: Mapping[str, bytes]
    solved: bytes

    @property
    def archive(self) -> bytes:
        """Make the zip for students."""
        return make_zip(self.shipped)


def build(layout: Layout | None = None, spec: Spec | None = None) -> Release:
    """Read the sources and make the whole release in memory. spec: the layout's registry, if it was loaded before.

    Raises:
        SourceError: a part, a public check or a file of the template is missing or wrong.
    """
    layout = layout or Layout()
    spec = spec or load_spec(layout.registry)
    cells = load_parts(spec, layout.solutions)
    generated = {NOTEBOOK: to_bytes(to_notebook(cells, BuildOptions(spec, solved=False)))}
    generated |= _checks(spec, layout.solutions / "checks")
    generated |= make_answers(spec, cells, layout.answers)
    shipped = {**_hand_written(layout.template), **generated}
    generated[MANIFEST] = shipped[MANIFEST] = make_manifest(spec, shipped)
    missing = [path for path in REQUIRED if path not in shipped]
    if missing:
        raise SourceError(f"{layout.template}: missing {', '.join(missing)}, which every release needs; restore it")
    solved = to_bytes(to_notebook(cells, BuildOptions(spec, solved=True)))
    return Release(spec, cells, dict(sorted(generated.items())), dict(sorted(shipped.items())), solved)


def _checks(spec: Spec, directory: Path) -> dict[str, bytes]:
    """Read the public checks, one file per slot, which are shipped unchanged."""
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
    """Read the allowed files that are not generated: README, requirements, the kit and its data."""
    files = {}
    for folder, subfolders, names in os.walk(template, onerror=_unreadable):
        subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(template).as_posix()
            generated = relative in (NOTEBOOK, MANIFEST) or relative.startswith(GENERATED_FOLDERS)
            if allowed(relative) and not generated:
                files[relative] = read_bytes(path)
                if path.suffix == ".py":
                    check_python(relative, files[relative])
    return files


def _unreadable(error: OSError) -> None:
    """Raise a SourceError where os.walk would silently skip a folder that it cannot read."""
    raise SourceError(f"{error.filename} cannot be read ({error.strerror}); restore the folder") from error


def stale(release: Release, layout: Layout) -> list[str]:
    """Compare the generated files with those on disk, and return one sentence for each that differs."""
    problems = []
    for relative, data in release.generated.items():
        path = layout.template / relative
        if not path.is_file():
            problems.append(f"{relative} is missing")
        elif path.read_bytes() != data:
            problems.append(f"{relative} is stale")
    return [*problems, *(f"{name} is no longer generated" for name in _surplus(release, layout))]


def _surplus(release: Release, layout: Layout) -> list[str]:
    """Return the Python files in generated folders that this release does not generate, relative to the template."""
    found = [f"{folder}{path.name}" for folder in GENERATED_FOLDERS for path in (layout.template / folder).glob("*.py")]
    return sorted(name for name in found if name not in release.generated)


def edited(release: Release, layout: Layout) -> list[Path]:
    """Return the files that `write` would replace or remove although they were edited.

    The manifest on disk has the digests of what the last build wrote.
    """
    known = _listed(layout.template / MANIFEST)
    found = []
    for relative in sorted({*release.generated, *_surplus(release, layout)} - ({MANIFEST} if known else set())):
        digests = [known.get(relative, "")]
        if relative in release.generated:
            digests.append(sha256(release.generated[relative]))
        if changed(layout.template / relative, digests):
            found.append(layout.template / relative)
    target = layout.dist / ZIP_NAME
    return [*found, target] if os.path.lexists(target) and not is_unedited(target) else found


def _listed(path: Path) -> dict[str, str]:
    """Return the digests in a manifest by file, or an empty dict if it cannot be read."""
    try:
        return {name: str(entry["sha256"]) for name, entry in json.loads(path.read_bytes())["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write(release: Release, layout: Layout, *, overwrite: bool = False) -> Path:
    """Write the generated files into the template and the zip into dist, and return the zip's path.

    overwrite: replace edited files too.

    Raises:
        ForeignFileError: a file would be replaced that was edited (see `edited`); nothing was written.
        OSError: a file cannot be written.
    """
    if not overwrite and (found := edited(release, layout)):
        raise ForeignFileError(
            f"a build would replace what it did not write: {', '.join(map(str, found))}. Keep what you need "
            "elsewhere (solutions/ is what a build reads), then run `rlhf-lab build --overwrite`"
        )
    for name in _surplus(release, layout):
        (layout.template / name).unlink()
    for relative, data in release.generated.items():
        path = layout.template / relative
        if not path.is_file() or path.read_bytes() != data:
            write_atomically(path, data)
    target = layout.dist / ZIP_NAME
    write_atomically(target, release.archive)
    return target
