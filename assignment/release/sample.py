"""The reference sample: the solved notebook as it was executed, and whether it still belongs to a release.

`rlhf-lab verify` executes the notebook and writes it. Minutes are saved where the code that ran is still the
same: new prose and comments are put into the sample, and its outputs stay.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Any, Literal

import nbformat

from assignment.release.notebook import to_bytes
from assignment.release.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assignment.release.release import Layout, Release

SAMPLE = "reference.ipynb"
INPUTS = "inputs"  # in the notebook's metadata: the digest of the files that the execution read

# current: the same cells, run with the same files. texts: as current, but prose or comments differ.
# code: other code or other files, so that the outputs say nothing. missing: no sample, or none that can be read.
State = Literal["current", "texts", "code", "missing"]


def inputs(release: Release) -> str:
    """A digest of the kit and the public checks, which the notebook reads while it runs."""
    total = hashlib.sha256()
    for path, data in release.shipped.items():
        if path.startswith(("rlhf_kit/", "tests/")):
            total.update(f"{path} {len(data)} ".encode() + data)
    return total.hexdigest()[:16]


def executed(release: Release, notebook: nbformat.NotebookNode) -> bytes:
    """The file of a notebook that was executed just now with this release."""
    notebook.metadata[release.spec.id][INPUTS] = inputs(release)
    return to_bytes(notebook)


def state(release: Release, layout: Layout) -> State:
    """How the sample on disk stands to this release."""
    sample = _read(layout)
    if sample is None:
        return "missing"
    ran_with = sample.metadata.get(release.spec.id, {}).get(INPUTS)
    old, new = sample.cells, _solved(release).cells
    code = [[cell for cell in cells if cell.cell_type == "code"] for cells in (old, new)]
    if ran_with != inputs(release) or len(code[0]) != len(code[1]) or not all(map(_same_code, *code)):
        return "code"
    return "current" if to_bytes(renewed(release, layout)) == to_bytes(sample) else "texts"


def renewed(release: Release, layout: Layout) -> nbformat.NotebookNode:
    """The release's solved notebook with the sample's outputs in it; asks for the state current or texts."""
    sample, solved = _read(layout), _solved(release)
    assert sample is not None, "there is a sample"
    old = (cell for cell in sample.cells if cell.cell_type == "code")
    for cell in solved.cells:
        if cell.cell_type == "code":
            ran = next(old)
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    solved.metadata = {**sample.metadata, **solved.metadata, "language_info": sample.metadata.language_info}
    solved.metadata[release.spec.id] = {**solved.metadata[release.spec.id], INPUTS: inputs(release)}
    return solved


def _same_code(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two cells do the same by their form: comments and line breaks do not count."""
    try:
        return ast.dump(ast.parse(one["source"])) == ast.dump(ast.parse(other["source"]))
    except (SyntaxError, ValueError):  # not a notebook of ours any more
        return False


def _solved(release: Release) -> nbformat.NotebookNode:
    return nbformat.reads(release.solved.decode("utf-8"), as_version=4)


def _read(layout: Layout) -> nbformat.NotebookNode | None:
    try:
        notebook = nbformat.reads(read_text(layout.samples / SAMPLE), as_version=4)
        nbformat.validate(notebook)
        return notebook
    except Exception:  # whatever it is, it is no notebook, and the next execution replaces it
        return None
