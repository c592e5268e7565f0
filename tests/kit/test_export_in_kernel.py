"""Export in a real kernel: what it says after edits, runs and saves, in the order in which a student does them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.support.intake_notebooks import BLANK, LOSS
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

CHECK = 'from otter.test_files import test_case\nname = "T07"\n'
SET_UP = "import rlhf_kit as kit\ngrader = kit.connect_grader('checks')"
EXPORT = "grader.export()"


class Desk:
    """A notebook in an editor: cells are run in a kernel as they are typed, and saved when the student saves."""

    def __init__(self, folder: Path) -> None:
        (folder / "checks").mkdir()
        (folder / "checks" / "T07.py").write_text(CHECK)
        self.path = folder / "rlhf.ipynb"
        self.cells = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in (SET_UP, BLANK, EXPORT)])
        self.client = nbclient.NotebookClient(
            self.cells, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )

    def type(self, cell: int, source: str) -> None:
        """Edit a cell."""
        self.cells.cells[cell].source = source

    def run(self, cell: int) -> str:
        """Run a cell and return everything that it shows."""
        self.client.execute_cell(self.cells.cells[cell], cell)
        return "\n".join(str(output) for output in self.cells.cells[cell].outputs)

    def save(self) -> None:
        """Write the file, as an editor does."""
        time.sleep(0.05)  # a file system may count time coarsely
        nbformat.write(self.cells, self.path)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Start a kernel in which the set-up cell has run."""
    desk = Desk(tmp_path)
    desk.save()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "student_template")}
    with desk.client.setup_kernel(env=environment):
        desk.run(0)
        yield desk


def test_what_is_said_follows_what_was_edited_run_and_saved(desk: Desk) -> None:
    desk.type(1, LOSS)
    desk.run(1)
    assert "Run, but not saved: T07." in desk.run(2)  # the file holds the blank slot

    desk.save()
    said = desk.run(2)
    assert "not saved" not in said
    assert "Edited" not in said

    desk.type(1, LOSS.replace(".mean()", ".sum()"))
    desk.save()
    assert "Edited, but not run since: T07." in desk.run(2)

    desk.run(1)
    assert "Edited" not in desk.run(2)

    desk.type(1, "%%time\n" + LOSS)
    desk.run(1)
    assert "Run, but not saved: T07." in desk.run(2)
    desk.save()
    said = desk.run(2)
    assert "Edited" not in said
    assert "not saved" not in said


def test_running_the_set_up_again_forgets_nothing(desk: Desk) -> None:
    desk.type(1, LOSS)
    desk.run(1)
    desk.run(0)
    assert "Run, but not saved: T07." in desk.run(2)


def test_an_export_that_is_not_possible_says_why_and_shows_no_none(desk: Desk) -> None:
    desk.path.rename(desk.path.with_name("a.ipynb"))
    desk.path.with_name("b.ipynb").write_bytes(desk.path.with_name("a.ipynb").read_bytes())
    said = desk.run(2)
    assert 'several notebooks here (a.ipynb, b.ipynb): say which one, grader.export("a.ipynb")' in said
    assert "None" not in said.replace("'execution_count': None", "")
    desk.type(2, 'grader.export("a.ipynb")')
    assert "a-submission.zip" in desk.run(2)
