"""Notebooks as editors save them, for the tests of intake, extraction and code quality."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from assignment.registry import load_spec
from autograder.core.records import Answers, Cell, Submission
from autograder.parsing.cells import parse_cells
from autograder.submission.extraction import extract

SPEC = load_spec()

LOSS = '''# TODO T07 · the Bradley-Terry loss of a batch of pairs
def bradley_terry_loss(chosen, rejected, margin=0.0):
    """Mean of -log sigmoid(chosen - rejected - margin)."""
    return F.softplus(rejected - chosen + margin).mean()
'''
ACCURACY = '''# TODO T08 · the share of pairs ranked right
def preference_accuracy(chosen, rejected):
    """Share of pairs ranked right; a tie is one half."""
    return ((chosen > rejected).double() + 0.5 * (chosen == rejected).double()).mean().item()
'''
BLANK = '''# TODO T07 · the Bradley-Terry loss of a batch of pairs
def bradley_terry_loss(chosen, rejected, margin=0.0):
    """Mean of -log sigmoid(chosen - rejected - margin)."""
    raise NotImplementedError("T07: the Bradley-Terry loss of a batch of pairs")
'''
BLANK_ACCURACY = BLANK.replace("T07", "T08").replace("bradley_terry_loss", "preference_accuracy")
IMPORTS = "import torch\nimport torch.nn.functional as F\n"


def code(source: str | list[str], **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **more}


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def notebook(cells: Sequence[str | Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """Build an nbformat 4.5 document; a string stands for a code cell."""
    full = [code(cell) if isinstance(cell, str) else dict(cell) for cell in cells]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": full, **more}


def write(path: Path, document: Any, encoding: str = "utf-8") -> Path:
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    return path


def submission(*cells: str | Cell) -> Submission:
    """Build the Submission that intake would make of these code cells."""
    made = (cell if isinstance(cell, Cell) else Cell(i, "code", cell) for i, cell in enumerate(cells))
    return Submission("test.ipynb", "0" * 64, tuple(made))


def extract_here(read: Submission) -> Answers:
    """Run `extract` without its child process: the same code, but faster."""

    def here(function: str, payload: dict[str, Any], limits: object = None) -> dict[str, Any]:
        return parse_cells(payload)

    with mock.patch("autograder.submission.extraction.run_limited", here):
        return extract(read, SPEC)


def zip_bytes(members: Mapping[str, Any], links: Sequence[str] = ()) -> bytes:
    """Build a zip of these members (dicts as JSON). Names in `links` are stored as symbolic links."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name in links:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            data = json.dumps(content) if isinstance(content, dict) else content
            archive.writestr(info, data)
    return buffer.getvalue()
