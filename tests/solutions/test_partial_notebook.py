"""Partial work in the real notebook: Run All stops, and the last cell alone exports what there is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import nbclient
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from assignment.release.archive import NOTEBOOK
from assignment.release.notebook import to_bytes
from assignment.release.release import Release, build
from assignment.verify.execution import kernel_environment, text_of
from tests.support.intake_notebooks import LOSS

pytestmark = pytest.mark.slow  # a kernel loads the models


@pytest.fixture(scope="module")
def release() -> Release:
    return build()


@pytest.fixture
def partial(release: Release, tmp_path: Path) -> nbformat.NotebookNode:
    """Unpack the release, answer one slot of its notebook, and return the notebook."""
    zipfile.ZipFile(io.BytesIO(release.archive)).extractall(tmp_path)
    notebook = nbformat.reads(release.shipped[NOTEBOOK].decode("utf-8"), as_version=4)
    next(cell for cell in notebook.cells if cell.id == "T07").source = LOSS
    (tmp_path / NOTEBOOK).write_bytes(to_bytes(notebook))
    return notebook


def client(notebook: nbformat.NotebookNode, folder: Path) -> nbclient.NotebookClient:
    return nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )


def run_all(runner: nbclient.NotebookClient) -> None:
    """Run the cells from top to bottom, up to the first error."""
    for number, cell in enumerate(runner.nb.cells):
        runner.execute_cell(cell, number)


def said_by_the_last_cell(runner: nbclient.NotebookClient) -> str:
    """Run the last cell as a click on it does, and return what it shows."""
    last = runner.nb.cells[-1]
    runner.execute_cell(last, len(runner.nb.cells) - 1)
    return str(text_of(last))


def check(said: str, folder: Path) -> None:
    assert "1 of 15 slots and 0 of 3 written questions answered" in said
    assert "Not answered yet: T01, " in said
    assert "No written answer yet: W1, W2, W3." in said
    assert "not saved" not in said
    assert (folder / "rlhf-submission.zip").is_file()


def test_after_run_all_stopped_at_a_blank_slot_the_last_cell_exports(partial, tmp_path):
    runner = client(partial, tmp_path)
    with runner.setup_kernel(env=kernel_environment(tmp_path)):
        with pytest.raises(CellExecutionError, match="NotImplementedError"):
            run_all(runner)
        check(said_by_the_last_cell(runner), tmp_path)


def test_in_a_fresh_kernel_the_last_cell_exports_with_no_cell_above_it(partial, tmp_path):
    runner = client(partial, tmp_path)
    with runner.setup_kernel(env=kernel_environment(tmp_path)):
        check(said_by_the_last_cell(runner), tmp_path)


def test_the_notebook_says_so(partial):
    text = next(cell.source for cell in partial.cells if cell.cell_type == "markdown" and "## Submit" in cell.source)
    assert "run it alone" in text
    assert "export" in partial.cells[-1].source
