"""Export the zip to submit: the notebook, the results saved in it, and a manifest.

The notebook alone is a complete submission too. The export also warns of what is missing or was not saved.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers.notebook import RejectedError
from .export_warnings import find_warnings
from .files import replacing
from .history import ran_cells
from .saved_work import SavedWork, limits, read_work

SCHEMA_VERSION = 1
COLAB_NAME = "rlhf.ipynb"  # the notebook's name in the zip on Colab, where it is not a file
EPOCH = (1980, 1, 1, 0, 0, 0)  # of all files, so that equal content gives equal bytes


class ExportError(Exception):
    """No zip was written; the message says why and what to do."""


@dataclass(frozen=True)
class Exported:
    """What was written. slots, written: by id, whether it is answered. results: number of result tables."""

    path: Path
    notebook: Path
    slots: Mapping[str, bool]
    written: Mapping[str, bool]
    results: int
    warnings: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        slots = f"{sum(self.slots.values())} of {len(self.slots)} slots"
        written = f"{sum(self.written.values())} of {len(self.written)} written questions"
        lines = [f"Upload this file: {self.path}",
                 f"It holds {self.notebook.name}: {slots} and {written} answered, {self.results} result tables."]
        lines += [f"Attention: {warning}" for warning in self.warnings]
        if any(re.search(r"\bcells? \d", warning) for warning in self.warnings):
            lines.append("(Cells are counted from the top of the notebook, text cells included.)")
        return "\n".join(lines)

    __repr__ = __str__


def export_submission(
    notebook: str | Path | None = None, out: str | Path | None = None,
    namespace: Mapping[str, Any] | None = None,
) -> Exported:
    """Write `<notebook>-submission.zip` beside the notebook, and say what to upload.

    notebook: path; by default the notebook that is running, or the only one with slots. out: path of the
    zip. namespace: the notebook's globals, whose cell history shows whether the file was saved after the
    last edit. An earlier export is replaced. Another file of that name is kept, and the zip gets a new name.
    ExportError if the notebook cannot be found or read; an older zip is then kept.
    """
    raw = notebook_from_colab() if notebook is None else None
    path = Path(COLAB_NAME if raw is not None else notebook or find_notebook(namespace=namespace))
    saved_at = math.inf if raw is not None else _saved_at(path)  # Colab hands over the notebook as it is now
    raw, work = _read(path, raw)
    if not work.traces:
        raise ExportError(f"{path.name} holds no `# TODO T…` cell: is it the assignment's notebook?")
    written = {question: bool(text) for question, text in work.written.items()}
    files = {
        path.name: raw,
        "results.json": _json({"schema_version": SCHEMA_VERSION, "results": work.results}),
    }
    files["manifest.json"] = _json({
        "schema_version": SCHEMA_VERSION,
        "notebook": path.name,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "slots": work.slots,
        "written": written,
    })
    wanted = Path(out) if out is not None else path.with_name(f"{path.stem}-submission.zip")
    target = free_name(wanted)
    write_zip(target, files)
    warnings = list(find_warnings(work, ran_cells(namespace or {}), saved_at))
    if target != wanted:
        warnings.append(f"{wanted.name} is not an export as it was written, so it was kept.")
    return Exported(target, path, work.slots, written, len(work.results), tuple(warnings))


def find_notebook(folder: str | Path = ".", namespace: Mapping[str, Any] | None = None) -> Path:
    """Find the notebook that is running: the editor names it, or it is the only one here with slots."""
    named = (namespace or {}).get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    if str(named).endswith(".ipynb") and Path(named).is_file():
        return Path(named)
    found = [path for path in sorted(Path(folder).glob("*.ipynb")) if _is_assignment(path)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ExportError(
            f"no notebook with slots in {Path(folder).resolve()}: save the notebook there, or pass its "
            'path: grader.export("my_notebook.ipynb")'
        )
    names = ", ".join(path.name for path in found)
    raise ExportError(f'several notebooks here ({names}): say which one, grader.export("{found[0].name}")')


def notebook_from_colab() -> bytes | None:
    """Return the current notebook on Colab, where it is not a file on this machine; None elsewhere.

    It is not written to a file, because a file of this name may be a copy that the student uploaded.
    """
    if "google.colab" not in sys.modules:
        return None
    try:
        from google.colab import _message

        return _json(_message.blocking_request("get_ipynb", timeout_sec=60)["ipynb"])
    except Exception as error:  # an undocumented interface, which may raise anything
        raise ExportError(
            "Colab did not hand over the notebook: use File > Download > Download .ipynb and submit that file"
        ) from error


def free_name(wanted: Path) -> Path:
    """Return `wanted` if nothing or an unchanged earlier export is there, else a new name: x.new.zip."""
    target, mark = wanted, ".new"
    while os.path.lexists(target) and not _is_export(target):
        target = wanted.with_name(wanted.stem + mark + wanted.suffix)
        mark += ".new"
    return target


def write_zip(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip; equal content gives equal bytes. The target is replaced when the zip is complete."""
    try:
        with (
            replacing(target) as partial,
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        ):
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type = _compression(files[name])
                entry.external_attr, entry.create_system = 0o644 << 16, 3  # 3: Unix, on every system
                archive.writestr(entry, files[name])
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror or error}") from error


def _compression(content: bytes) -> int:
    """Return how to pack a file: as it is if it would shrink so much that a grader takes it for a zip bomb."""
    small = len(content) > limits()["zip_ratio_max"] / 2 * len(zlib.compress(content, 9))
    return zipfile.ZIP_STORED if small else zipfile.ZIP_DEFLATED


def _is_export(path: Path) -> bool:
    """Return whether a file is an unedited export: a zip whose manifest describes every file."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        sums = json.loads(found.pop("manifest.json"))["sha256"]
        return bool(sums == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()})
    except Exception:  # noqa: BLE001 (a zip can be damaged in many ways)
        return False


def _read(path: Path, raw: bytes | None = None) -> tuple[bytes, SavedWork]:
    """Return a notebook's bytes and what it holds. raw: its bytes, if it is not a file. Raises ExportError."""
    try:
        raw = path.read_bytes() if raw is None else raw
        return raw, read_work(raw)
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror or error}") from error
    except RejectedError as error:
        raise ExportError(f"{path} {error}") from error


def _saved_at(path: Path) -> float:
    """Return when a file was written, in seconds since 1970; 0 if it cannot be told."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_assignment(path: Path) -> bool:
    try:
        return _read(path)[1].is_assignment
    except ExportError:
        return False


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
