"""Execute the solved notebook as on a student's machine: in a fresh kernel, from the unpacked release alone."""

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

from assignment.release.archive import NOTEBOOK
from assignment.release.notebook import read_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDGET = "application/vnd.jupyter.widget-view+json"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# The last cell: prints which files the kernel imported, and its peak memory.
_USAGE_CELL = """
import json as _json, resource as _resource, sys as _sys
_files = sorted({str(m.__file__) for m in list(_sys.modules.values()) if getattr(m, "__file__", None)})
_peak = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
print(_json.dumps({"files": _files, "peak_kib": _peak, "path": _sys.path}))
"""


class ExecutionError(Exception):
    """A cell of the solved notebook failed; the message names the cell and ends with its error."""


@dataclass(frozen=True)
class Executed:
    """The executed notebook, the seconds it took, its peak memory in bytes, and the files that it imported."""

    notebook: nbformat.NotebookNode
    seconds: float
    peak_bytes: int
    files: tuple[str, ...]


def kernel_environment(folder: Path) -> dict[str, str]:
    """Return the environment for a kernel: this process's, without PYTHON variables and offline."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**env, "HF_HOME": str(folder / ".hf"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def execute(
    folder: Path, solved: bytes, cell_timeout: float, on_cell: Callable[[int, int, str], None] | None = None
) -> Executed:
    """Run the notebook from top to bottom in `folder`, the unpacked release.

    cell_timeout: seconds that a cell may take. on_cell: called as on_cell(number, total, cell id) before each cell.

    Raises:
        ExecutionError: a cell raised an error or took too long, or the kernel died.
        KeyboardInterrupt: this process was asked to end, by Ctrl-C or SIGTERM.
    """
    (folder / NOTEBOOK).write_bytes(solved)
    notebook = read_notebook(solved.decode("utf-8"))
    total = len(notebook.cells)
    notebook.cells.append(nbformat.v4.new_code_cell(_USAGE_CELL, id="usage"))
    current = {"id": ""}

    def started(cell: Any, cell_index: int) -> None:
        current["id"] = cell.id
        if on_cell and cell_index < total:
            on_cell(cell_index + 1, total, cell.id)

    client = NotebookClient(
        notebook, timeout=cell_timeout, kernel_name="python3", on_cell_start=started,
        record_timing=False, store_widget_state=False,  # they do not belong in a committed file
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    start = time.monotonic()
    _run(client, kernel_environment(folder), current)
    seconds = time.monotonic() - start
    outputs = notebook.cells.pop().outputs
    usage = json.loads("".join(out.text for out in outputs if out.output_type == "stream"))
    return Executed(tidy(notebook, folder), seconds, usage["peak_kib"] * 1024, tuple(usage["files"]))


def _run(client: NotebookClient, environment: dict[str, str], current: dict[str, str]) -> None:
    """Run the client's notebook. current: `id` is the cell that runs. Raises as `execute` does."""
    try:
        client.execute(env=environment)
    except CellTimeoutError as error:
        raise ExecutionError(f"cell {current['id']} took longer than {client.timeout:g} s") from error
    except CellExecutionError as error:
        text = _ANSI.sub("", str(error)).strip()[-2000:]
        raise ExecutionError(f"cell {current['id']} failed: {text}") from error
    except DeadKernelError as error:
        raise ExecutionError(f"the kernel died in cell {current['id']} (out of memory?)") from error
    except AssertionError as error:  # nbclient takes both signals, ends the kernel, and then tries to end it again
        if isinstance(error.__context__, DeadKernelError):
            raise KeyboardInterrupt from None
        raise


def tidy(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Clean the outputs for a commit: as they look on screen, and without the paths of this machine."""
    paths = {str(folder): ".", str(folder.resolve()): ".", sys.prefix: "<python>", str(Path.home()): "~"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [_tidy_output(output, paths) for output in _joined(cell.outputs)]
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Join consecutive outputs of the same stream."""
    joined: list[Any] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def _tidy_output(output: Any, paths: dict[str, str]) -> Any:
    """Clean one output. paths: path -> what is written instead."""

    def clean(text: str) -> str:
        for path, name in sorted(paths.items(), key=lambda pair: -len(pair[0])):  # the longest first
            text = text.replace(path, name)
        return text

    if output.output_type == "stream":
        # A carriage return overwrites the line: only the last state of a progress bar is kept.
        output.text = "\n".join(clean(line.rstrip("\r").split("\r")[-1]) for line in output.text.split("\n"))
    output.get("data", {}).pop(_WIDGET, None)  # an interactive progress bar, which has a text version too
    for kind, value in output.get("data", {}).items():
        if isinstance(value, str) and kind.startswith("text/"):
            output["data"][kind] = clean(value)
    return output


def text_of(cell: Any) -> str:
    """Return what a code cell printed or showed, as plain text."""
    outputs = cell.get("outputs", [])
    return "\n".join(out.get("text", "") or out.get("data", {}).get("text/plain", "") for out in outputs)
