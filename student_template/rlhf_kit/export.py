"""Export the zip to submit: the notebook, the results saved in it, and a manifest.

The notebook alone is a complete submission too. The export also warns if the notebook was not saved or
slots are not answered.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .results import MIME_TYPE

SCHEMA_VERSION = 1
SLOT_LINE = re.compile(r"^# TODO ([A-Z]\d\d)\b", re.MULTILINE)
COLAB_NAME = "rlhf.ipynb"  # the notebook's name in the zip on Colab, where it is not a file
EPOCH = (1980, 1, 1, 0, 0, 0)  # of all files, so that equal content gives equal bytes


class ExportError(Exception):
    """No zip was written; the message says why and what to do."""


@dataclass(frozen=True)
class Exported:
    """What was written. slots: slot id -> whether it is answered. results: number of result tables."""

    path: Path
    notebook: Path
    slots: Mapping[str, bool]
    results: int
    warnings: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        answered = sum(self.slots.values())
        lines = [f"Upload this file: {self.path}",
                 f"It holds {self.notebook.name}: {answered} of {len(self.slots)} slots answered, "
                 f"{self.results} result tables."]
        return "\n".join(lines + [f"Attention: {warning}" for warning in self.warnings])

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
    raw, cells = _read(path, raw)
    slots = {slot: _answered(source) for slot, source in slot_sources(cells).items()}
    if not slots:
        raise ExportError(f"{path.name} holds no `# TODO T…` cell: is it the assignment's notebook?")
    results = saved_results(cells)
    files = {
        path.name: raw,
        "results.json": _json({"schema_version": SCHEMA_VERSION, "results": results}),
    }
    files["manifest.json"] = _json({
        "schema_version": SCHEMA_VERSION,
        "notebook": path.name,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "slots": slots,
    })
    wanted = Path(out) if out is not None else path.with_name(f"{path.stem}-submission.zip")
    target = free_name(wanted)
    write_zip(target, files)
    warnings = list(_warnings(slots, cells, results, namespace or {}))
    if target != wanted:
        warnings.append(f"{wanted.name} is not an export as it was written, so it was kept.")
    return Exported(target, path, slots, len(results), tuple(warnings))


def find_notebook(folder: str | Path = ".", namespace: Mapping[str, Any] | None = None) -> Path:
    """Find the notebook that is running: the editor names it, or it is the only one here with slots."""
    named = (namespace or {}).get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    if str(named).endswith(".ipynb") and Path(named).is_file():
        return Path(named)
    found = [path for path in sorted(Path(folder).glob("*.ipynb")) if _has_slots(path)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ExportError(
            f"no notebook with slots in {Path(folder).resolve()}: save the notebook there, or pass its "
            'path: export("my_notebook.ipynb")'
        )
    names = ", ".join(path.name for path in found)
    raise ExportError(f'several notebooks here ({names}): say which one, export("{found[0].name}")')


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


def slot_sources(cells: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return slot id -> source of its last cell, in order of the ids."""
    found = {}
    for cell in cells:
        match = SLOT_LINE.search(source_of(cell)) if cell.get("cell_type") == "code" else None
        if match:
            found[match[1]] = source_of(cell)
    return dict(sorted(found.items()))


def source_of(cell: Mapping[str, Any]) -> str:
    """Return a cell's source, which nbformat allows to be a text or a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(map(str, source))


def saved_results(cells: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return everything that `record` left in the saved outputs, in cell order."""
    return [
        output["data"][MIME_TYPE]
        for cell in cells
        for output in cell.get("outputs") or []
        if isinstance(output, Mapping) and MIME_TYPE in (output.get("data") or {})
    ]


def free_name(wanted: Path) -> Path:
    """Return `wanted` if nothing or an unchanged earlier export is there, else a new name: x.new.zip."""
    target, mark = wanted, ".new"
    while os.path.lexists(target) and not _is_export(target):
        target = wanted.with_name(wanted.stem + mark + wanted.suffix)
        mark += ".new"
    return target


def write_zip(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip; equal content gives equal bytes. The target is replaced when the zip is complete."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr, entry.create_system = 0o644 << 16, 3  # 3: Unix, on every system
                archive.writestr(entry, files[name])
        os.replace(partial, target)
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _is_export(path: Path) -> bool:
    """Return whether a file is an unedited export: a zip whose manifest describes every file."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        sums = json.loads(found.pop("manifest.json"))["sha256"]
        return bool(sums == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()})
    except Exception:  # noqa: BLE001 (a zip can be damaged in many ways)
        return False


def _read(path: Path, raw: bytes | None = None) -> tuple[bytes, list[dict[str, Any]]]:
    """Return a notebook's bytes and cells. raw: its bytes, if it is not a file. Raises ExportError."""
    try:
        raw = path.read_bytes() if raw is None else raw
        cells = json.loads(raw.decode("utf-8-sig"))["cells"]
        return raw, [cell for cell in cells if isinstance(cell, dict)]
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is not a notebook that can be read: save it again, then export") from error


def _has_slots(path: Path) -> bool:
    try:
        return bool(slot_sources(_read(path)[1]))
    except ExportError:
        return False


def _answered(source: str) -> bool:
    return not re.search(r"raise\s+NotImplementedError\(\s*[\"'][A-Z]\d\d", source)


def _warnings(
    slots: Mapping[str, bool], cells: list[dict[str, Any]], results: list[Any], namespace: Mapping[str, Any]
) -> Iterable[str]:
    empty = [slot for slot, answered in slots.items() if not answered]
    if empty:
        yield f"not answered yet: {', '.join(empty)}."
    ran = {m[1]: text for text in namespace.get("In", []) if (m := SLOT_LINE.search(str(text)))}
    saved = slot_sources(cells)
    stale = [slot for slot, text in ran.items() if slot in saved and saved[slot].strip() != str(text).strip()]
    if stale:
        yield (f"the saved file differs from what you last ran in {', '.join(sorted(stale))}: "
               "save the notebook (Ctrl+S or ⌘S) and export again.")
    if not results:
        yield "no result tables in the saved notebook: run it to the end, save it, and export again."


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
