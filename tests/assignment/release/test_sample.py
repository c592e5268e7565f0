"""The reference sample: when its outputs still hold, and what is renewed without running anything."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from assignment.release import sample
from assignment.release.notebook import to_bytes
from assignment.release.release import Layout, build
from tests.support.course import write_course

PROSE, COMMENT = ("Prose with", "New prose with"), ("doubled_4 = ", "# twice\n    doubled_4 = ")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A course whose solved notebook ran: each code cell printed its number."""
    made = write_course(tmp_path)
    release = build(made)
    notebook = nbformat.reads(release.solved.decode(), as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3"}
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
        cell.outputs = [nbformat.v4.new_output("stream", text=f"ran {number + 1}")]
    made.samples.mkdir()
    (made.samples / sample.SAMPLE).write_bytes(sample.executed(release, notebook))
    return made


def edit(layout: Layout, old: str, new: str, part: str = "p3_sft.py") -> None:
    path = layout.solutions / part
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def appended(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_sample_that_was_executed_with_this_release_is_current(layout: Layout) -> None:
    assert sample.state(build(layout), layout) == "current"


@pytest.mark.parametrize("change", [PROSE, COMMENT], ids=["prose", "comment"])
def test_new_prose_and_comments_keep_the_outputs(layout: Layout, change: tuple[str, str]) -> None:
    edit(layout, *change)
    release = build(layout)
    assert sample.state(release, layout) == "texts"
    renewed = sample.renewed(release, layout)
    assert [cell.source for cell in renewed.cells] == [
        cell.source for cell in nbformat.reads(release.solved.decode(), as_version=4).cells
    ]
    outputs = [cell.outputs[0].text for cell in renewed.cells if cell.cell_type == "code"]
    assert outputs == [f"ran {number + 1}" for number in range(len(outputs))]
    (layout.samples / sample.SAMPLE).write_bytes(to_bytes(renewed))
    assert sample.state(release, layout) == "current"


def test_other_code_asks_for_another_execution(layout: Layout) -> None:
    edit(layout, "[x, x]", "[x, x, 0]")
    assert sample.state(build(layout), layout) == "code"


def test_a_cell_more_asks_for_another_execution(layout: Layout) -> None:
    appended(layout.solutions / "p3_sft.py", "\n# %%\nx = 1\n")
    assert sample.state(build(layout), layout) == "code"


@pytest.mark.parametrize("name", ["student_template/rlhf_kit/__init__.py", "solutions/checks/T07.py"])
def test_another_kit_or_public_check_asks_for_another_execution(layout: Layout, name: str) -> None:
    appended(layout.solutions.parent / name, "\nx = 1\n")
    assert sample.state(build(layout), layout) == "code"


def test_another_readme_asks_for_nothing(layout: Layout) -> None:
    appended(layout.template / "README.md", "More.\n")
    assert sample.state(build(layout), layout) == "current"


def test_a_sample_that_does_not_say_what_it_ran_with_asks_for_another_execution(layout: Layout) -> None:
    path = layout.samples / sample.SAMPLE
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["rlhf-lab"].pop(sample.INPUTS)
    path.write_bytes(to_bytes(notebook))
    assert sample.state(build(layout), layout) == "code"


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"\xff", b'{"cells": 3, "nbformat": 4}'])
def test_a_sample_that_is_missing_or_no_notebook_is_missing(layout: Layout, content: bytes | None) -> None:
    path = layout.samples / sample.SAMPLE
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert sample.state(build(layout), layout) == "missing"
