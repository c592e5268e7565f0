"""Executes the solved notebook as a student's machine would: fresh kernel, unpacked release, no repo."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from assignment.release.release import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDGET = "application/vnd.jupyter.widget-view+json"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# Runs last in the same kernel: which files it imported from, and the most memory it held.
_PROBE = """
import json as _json, resource as _resource, sys as _sys
_files = sorted({str(m.__file__) for m in list(_sys.modules.values()) if getattr(m, "__file__", None)})
_peak = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
print(_json.dumps({"files": _files, "peak_kib": _peak, "path": _sys.path}))
"""


class ExecutionFailed(Exception):
    """A cell of the solved notebook failed; the message names the cell and ends with its error."""


@dataclass(frozen=True)
class Executed:
    """The executed notebook without the probe, seconds taken, peak memory in bytes, files imported."""

    notebook: nbformat.NotebookNode
    seconds: float
    peak_bytes: int
    files: tuple[str, ...]


def kernel_environment(folder: Path) -> dict[str, str]:
    """The caller's environment without anything that leads Python to the repo, and offline."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**env, "HF_HOME": str(folder / ".hf"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def execute(
    folder: Path, solved: bytes, cell_timeout: float, on_cell: Callable[[int, int, str], None] | None = None
) -> Executed:
    """Run the notebook top to bottom in `folder`, the unpacked release.

    on_cell: called as on_cell(number, total, cell id) before each cell.
    Raises:
        ExecutionFailed: a cell raised, ran into `cell_timeout` (seconds), or the kernel died.
    """
    (folder / NOTEBOOK).write_bytes(solved)
    notebook = nbformat.reads(solved.decode("utf-8"), as_version=4)
    total = len(notebook.cells)
    notebook.cells.append(nbformat.v4.new_code_cell(_PROBE, id="probe"))
    current = {"id": ""}

    def started(cell: Any, cell_index: int) -> None:
        current["id"] = cell.id
        if on_cell and cell_index < total:
            on_cell(cell_index + 1, total, cell.id)

    client = NotebookClient(
        notebook, timeout=cell_timeout, kernel_name="python3", on_cell_start=started,
        record_timing=False, store_widget_state=False,  # neither belongs into a committed file
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    start = time.monotonic()
    try:
        client.execute(env=kernel_environment(folder))
    except CellTimeoutError as error:
        raise ExecutionFailed(f"cell {current['id']} took longer than {cell_timeout:g} s") from error
    except CellExecutionError as error:
        text = _ANSI.sub("", str(error)).strip()[-2000:]
        raise ExecutionFailed(f"cell {current['id']} failed: {text}") from error
    except DeadKernelError as error:
        raise ExecutionFailed(f"the kernel died in cell {current['id']} (out of memory?)") from error
    seconds = time.monotonic() - start
    probe = notebook.cells.pop()
    told = json.loads("".join(out.text for out in probe.outputs if out.output_type == "stream"))
    return Executed(tidy(notebook, folder), seconds, told["peak_kib"] * 1024, tuple(told["files"]))


def tidy(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Outputs as they would look on screen, and without this machine's paths: fit to be committed."""
    paths = {str(folder): ".", str(folder.resolve()): ".", sys.prefix: "<python>", str(Path.home()): "~"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [_tidy_output(output, paths) for output in _joined(cell.outputs)]
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Neighbouring pieces of one stream as one output."""
    joined: list[Any] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def _tidy_output(output: Any, paths: dict[str, str]) -> Any:
    def clean(text: str) -> str:
        for path, name in sorted(paths.items(), key=lambda pair: -len(pair[0])):  # the longest first
            text = text.replace(path, name)
        return text

    if output.output_type == "stream":
        # A carriage return rewrites the line: of a progress bar only its last state is left.
        output.text = "\n".join(clean(line.rstrip("\r").split("\r")[-1]) for line in output.text.split("\n"))
    output.get("data", {}).pop(_WIDGET, None)  # a live progress bar; its text stays
    for kind, value in output.get("data", {}).items():
        if isinstance(value, str) and kind.startswith("text/"):
            output["data"][kind] = clean(value)
    return output


def text_of(cell: Any) -> str:
    """What a code cell printed or showed, as plain text."""
    shown = []
    for output in cell.get("outputs", []):
        shown.append(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(shown)
