"""The kit's displays in a real kernel: what ends up in the saved notebook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from nbconvert import HTMLExporter

from rlhf_kit.results import MIME_TYPE

pytestmark = pytest.mark.slow

CELLS = {
    "record": "import rlhf_kit as kit\nkit.record('sft', [{'step': 0, 'loss': 2.5}])",
    "plot": "kit.plot_loss([3.0, 2.0, 1.0])",
    "progress": "with kit.ProgressBar(2, 'SFT') as bar:\n    bar(0, 1.0)\n    bar(1, 0.5)",
    "model": "lm = kit.load_base_model()",
    "slot": "# TODO T01 · format\ndef format_example(example):\n    return 'prompt', 'completion'",
    "check": "grader = kit.connect_grader('checks')\ngrader.check('T01')",
    "error": "def split_preference(a, b):\n    nothing = None\n    return nothing.upper()\nprint(grader.check('T02'))",
    "export": "grader.export()",
}
CHECK = """
from otter.test_files import test_case
name = "T01"
@test_case(name="two texts")
def two(format_example):
    assert len(format_example({})) == 2
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Any:
    """Run the notebook in a fresh kernel, in a folder with nothing but the notebook and a check."""
    folder: Path = tmp_path_factory.mktemp("notebook")
    (folder / "checks").mkdir()
    (folder / "checks" / "T01.py").write_text(CHECK)
    (folder / "checks" / "T02.py").write_text(
        CHECK.replace("T01", "T02")
        .replace("format_example({})", "split_preference('', '')")
        .replace("format_example", "split_preference")
    )
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, folder / "renamed.ipynb")
    kit_folder = str(Path(__file__).resolve().parents[2] / "student_template")
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{kit_folder}{os.pathsep}{before}"
    try:
        nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    finally:
        os.environ["PYTHONPATH"] = before
    return notebook


@pytest.fixture
def outputs(executed) -> dict[str, list[Any]]:
    """Return the outputs of each cell."""
    return {name: cell.outputs for name, cell in zip(CELLS, executed.cells, strict=True)}


def kinds(found: list[Any]) -> set[str]:
    return {kind for output in found for kind in output.get("data", {})}


def test_recorded_results_are_saved_as_json_beside_the_table(outputs):
    (shown,) = [output for output in outputs["record"] if "data" in output]
    assert shown["data"][MIME_TYPE]["rows"] == [{"step": 0, "loss": 2.5}]
    assert "text/html" in shown["data"]


def test_a_plot_is_shown_once(outputs):
    assert sum("image/png" in output.get("data", {}) for output in outputs["plot"]) == 1


def test_a_progress_bar_is_saved_complete_and_without_a_widget(executed, outputs):
    (shown,) = outputs["progress"]
    assert set(shown["data"]) == {"text/html", "text/plain"}
    assert "[########################] 2 of 2 steps" in shown["data"]["text/plain"]
    assert 'max="2" value="2"></progress>' in shown["data"]["text/html"]
    assert "widgets" not in executed.metadata


def test_an_exported_page_shows_the_bar_complete(executed):
    page, _ = HTMLExporter().from_notebook_node(executed)
    assert '<progress aria-label="SFT" max="2" value="2"></progress> <b>SFT</b> 2 of 2 steps' in page
    assert "0 of 2 steps" not in page


def test_loading_a_model_shows_no_bar(outputs):
    assert outputs["model"] == []


def test_a_check_shows_its_outcome(outputs):
    assert "text/html" in kinds(outputs["check"])
    assert "all 1 checks passed" in str(outputs["check"])


def test_an_error_in_an_answer_shows_the_students_line(outputs):
    (shown,) = outputs["error"]
    assert "in line 3 of the cell, in split_preference: return nothing.upper()" in shown["text"]
    assert "Traceback" not in shown["text"]


def test_export_finds_the_renamed_notebook_and_says_what_to_upload(outputs):
    assert "renamed-submission.zip" in str(outputs["export"])
