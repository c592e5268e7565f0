"""The reference sample: when its outputs still apply, and what can be renewed without an execution."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from assignment.release import reference_sample
from assignment.release.notebook import to_bytes
from assignment.release.release import Layout, build
from tests.support.course import edit_file

PROSE, COMMENT = ("Prose with", "New prose with"), ("doubled_4 = ", "# twice\n    doubled_4 = ")


@pytest.fixture
def layout(layout: Layout) -> Layout:
    """Make a course whose solved notebook was executed: each code cell printed its number."""
    release = build(layout)
    notebook = nbformat.reads(release.solved.decode(), as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3"}
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
        cell.outputs = [nbformat.v4.new_output("stream", text=f"ran {number + 1}")]
    layout.samples.mkdir()
    (layout.samples / reference_sample.SAMPLE).write_bytes(reference_sample.sample_file(release, notebook))
    return layout


def appended(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_sample_that_was_executed_with_this_release_is_current(layout: Layout) -> None:
    assert reference_sample.state(build(layout), layout) == "current"


@pytest.mark.parametrize("change", [PROSE, COMMENT], ids=["prose", "comment"])
def test_new_prose_and_comments_keep_the_outputs(layout: Layout, change: tuple[str, str]) -> None:
    edit_file(layout.solutions / "p3_sft.py", *change)
    release = build(layout)
    assert reference_sample.state(release, layout) == "old text"
    renewed = reference_sample.with_outputs(release, layout)
    assert [cell.source for cell in renewed.cells] == [
        cell.source for cell in nbformat.reads(release.solved.decode(), as_version=4).cells
    ]
    outputs = [cell.outputs[0].text for cell in renewed.cells if cell.cell_type == "code"]
    assert outputs == [f"ran {number + 1}" for number in range(len(outputs))]
    (layout.samples / reference_sample.SAMPLE).write_bytes(to_bytes(renewed))
    assert reference_sample.state(release, layout) == "current"


def test_changed_code_makes_the_sample_stale(layout: Layout) -> None:
    edit_file(layout.solutions / "p3_sft.py", "[x, x]", "[x, x, 0]")
    assert reference_sample.state(build(layout), layout) == "old code"


def test_an_added_cell_makes_the_sample_stale(layout: Layout) -> None:
    appended(layout.solutions / "p3_sft.py", "\n# %%\nx = 1\n")
    assert reference_sample.state(build(layout), layout) == "old code"


@pytest.mark.parametrize("name", ["student_template/rlhf_kit/__init__.py", "solutions/checks/T07.py"])
def test_a_changed_kit_or_public_check_makes_the_sample_stale(layout: Layout, name: str) -> None:
    appended(layout.solutions.parent / name, "\nx = 1\n")
    assert reference_sample.state(build(layout), layout) == "old code"


def test_a_changed_readme_keeps_the_sample_current(layout: Layout) -> None:
    appended(layout.template / "README.md", "More.\n")
    assert reference_sample.state(build(layout), layout) == "current"


def test_a_sample_without_a_digest_is_stale(layout: Layout) -> None:
    path = layout.samples / reference_sample.SAMPLE
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["rlhf-lab"].pop(reference_sample.DIGEST_KEY)
    path.write_bytes(to_bytes(notebook))
    assert reference_sample.state(build(layout), layout) == "old code"


def test_a_sample_without_the_kernels_language_is_read_all_the_same(layout: Layout) -> None:
    path = layout.samples / reference_sample.SAMPLE
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["language_info"]
    path.write_bytes(to_bytes(notebook))
    assert reference_sample.state(build(layout), layout) == "old text"


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"\xff", b'{"cells": 3, "nbformat": 4}'])
def test_a_sample_that_cannot_be_read_counts_as_missing(layout: Layout, content: bytes | None) -> None:
    path = layout.samples / reference_sample.SAMPLE
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert reference_sample.state(build(layout), layout) == "missing"
