"""Export and grader find the same answers, in the same words, in every form in which a notebook is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assignment.registry import load_spec
from assignment.release.release import build
from autograder.submission.extraction import extract
from autograder.submission.intake import read_submission
from rlhf_kit.export import export_submission
from rlhf_kit.saved_work import read_work
from tests.support.intake_notebooks import ACCURACY, BLANK, LOSS, code, markdown
from tests.support.real_life import SAME, TOLD, with_cells

SPEC = load_spec()
RELEASE = build()
SOLVED: dict[str, Any] = json.loads(RELEASE.solved)
HANDOUT: dict[str, Any] = json.loads(RELEASE.shipped["rlhf.ipynb"])
CUT = "    raise NotImplementedError('T07: the loss')\n"


def turned(into: str, slot: str = "T07") -> dict[str, Any]:
    """Return the solved notebook with the cell of a slot turned into another kind."""
    cells = [
        {"cell_type": into, "metadata": {}, "source": c["source"]} if f"# TODO {slot} ·" in "".join(c["source"]) else c
        for c in SOLVED["cells"]
    ]
    return {**SOLVED, "cells": cells}


def crlf(document: dict[str, Any]) -> dict[str, Any]:
    cells = [{**c, "source": "".join(c["source"]).replace("\n", "\r\n")} for c in document["cells"]]
    return {**document, "cells": cells}


NOTEBOOKS = {
    "the handout": HANDOUT,
    "solved": SOLVED,
    "an answer among blanks": with_cells(HANDOUT, LOSS),
    "a blank copy below": with_cells(SOLVED, BLANK),
    "a broken copy below": with_cells(SOLVED, LOSS.replace("return", "retrun x")),
    "a markdown cell": turned("markdown"),
    "a raw cell": turned("raw"),
    "a markdown cell and a blank copy": with_cells(turned("markdown"), BLANK),
    "commented out": with_cells(turned("markdown", "T08"), "\n".join(f"# {line}" for line in ACCURACY.splitlines())),
    "answered twice": with_cells(SOLVED, LOSS),
    "answer after the placeholder": with_cells(HANDOUT, LOSS + CUT),
    "placeholder first": with_cells(HANDOUT, LOSS.replace("    return", CUT + "    return")),
    "another message in the placeholder": with_cells(HANDOUT, BLANK.replace('"T07: the', '"do the')),
    "nothing but pass": with_cells(turned("raw"), "def bradley_terry_loss(a, b):\n    pass"),
    "Windows line ends": crlf(SOLVED),
    "format 3": {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [
        {"cell_type": "code", "input": LOSS, "outputs": []}, {"cell_type": "heading", "level": 1, "source": "T08"}]}]},
    "a cell without text": with_cells(SOLVED, {"cell_type": "code", "source": 3}),
    "a written answer in a code cell": with_cells(HANDOUT, code("<!-- WRITTEN W1 · x -->\nThe policy.")),
    "a written answer in its cell": with_cells(HANDOUT, markdown("<!-- WRITTEN W2 · x -->\n*Your answer.*\nThere.")),
    **{name: form(SOLVED) for name, form in SAME.items()},
    **{name: form(SOLVED) for name, (form, _, _) in TOLD.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_zip_of_an_export_is_graded_as_the_export_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rlhf.ipynb"
    path.write_text(json.dumps(NOTEBOOKS[name], ensure_ascii=False), encoding="utf-8")
    exported = export_submission(path)
    graders = extract(read_submission(exported.path, SPEC), SPEC)
    work = read_work(path.read_bytes())
    said = {slot: (a["state"], a["problem"]) for slot, a in work.answers.items()}
    assert said == {slot: (a.state, a.problem) for slot, a in graders.slots.items()}
    assert exported.slots == {slot: a.state == "present" for slot, a in graders.slots.items()}
    assert exported.written == {question: bool(text) for question, text in graders.written.items()}
    assert all(note in graders.notes for note in work.notes)
    problems = [a.problem for a in graders.slots.values() if a.problem]
    assert [warning for warning in exported.warnings if warning in problems] == problems


def test_the_notebooks_hold_every_state() -> None:
    """Else the test above would prove less than it says."""
    works = [read_work(json.dumps(notebook).encode()) for notebook in NOTEBOOKS.values()]
    states = {answer["state"] for work in works for answer in work.answers.values()}
    assert states == {"present", "blank", "broken", "missing"}
    assert sum(bool(work.notes) for work in works) >= 4
