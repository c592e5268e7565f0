"""Tell whether the reference sample, the executed solved notebook, still belongs to a release.

`rlhf-lab verify` executes the notebook and writes the sample, which takes minutes. As long as the code stays the same,
new prose and comments can be put into the sample while its outputs are kept.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Any, Literal

import nbformat

from assignment.release.notebook import read_notebook, to_bytes
from assignment.release.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assignment.release.release import Layout, Release

SAMPLE = "reference.ipynb"
DIGEST_KEY = "inputs"  # in the notebook's metadata: the digest of the files that the execution read

# current: the same cells were run with the same files. old text: only prose or comments differ. old code: the code or
# the files differ, so that the outputs no longer apply. missing: there is no sample, or it cannot be read.
State = Literal["current", "old text", "old code", "missing"]


def input_digest(release: Release) -> str:
    """Return a digest of the kit and the public checks, which the notebook reads while it runs."""
    total = hashlib.sha256()
    for path, data in release.shipped.items():
        if path.startswith(("rlhf_kit/", "tests/")):
            total.update(f"{path} {len(data)} ".encode() + data)
    return total.hexdigest()[:16]


def sample_file(release: Release, notebook: nbformat.NotebookNode) -> bytes:
    """Make the sample's file from the notebook that was just executed with this release."""
    notebook.metadata[release.spec.id][DIGEST_KEY] = input_digest(release)
    return to_bytes(notebook)


def state(release: Release, layout: Layout) -> State:
    """Compare the sample on disk with this release."""
    sample = _read(layout)
    if sample is None:
        return "missing"
    ran_with = sample.metadata.get(release.spec.id, {}).get(DIGEST_KEY)
    old, new = sample.cells, _solved(release).cells
    code = [[cell for cell in cells if cell.cell_type == "code"] for cells in (old, new)]
    if ran_with != input_digest(release) or len(code[0]) != len(code[1]) or not all(map(_same_code, *code)):
        return "old code"
    return "current" if to_bytes(with_outputs(release, layout)) == to_bytes(sample) else "old text"


def with_outputs(release: Release, layout: Layout) -> nbformat.NotebookNode:
    """Return the release's solved notebook with the sample's outputs. Its state has to be current or old text."""
    sample, solved = _read(layout), _solved(release)
    assert sample is not None, "there is a sample"
    executed = (cell for cell in sample.cells if cell.cell_type == "code")
    for cell in solved.cells:
        if cell.cell_type == "code":
            old = next(executed)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    solved.metadata = {**sample.metadata, **solved.metadata}
    if "language_info" in sample.metadata:  # the kernel says more than a build does
        solved.metadata["language_info"] = sample.metadata["language_info"]
    solved.metadata[release.spec.id] = {**solved.metadata[release.spec.id], DIGEST_KEY: input_digest(release)}
    return solved


def _same_code(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether the code of two cells is the same apart from comments and layout."""
    try:
        return ast.dump(ast.parse(one["source"])) == ast.dump(ast.parse(other["source"]))
    except (SyntaxError, ValueError):  # the sample was edited
        return False


def _solved(release: Release) -> nbformat.NotebookNode:
    return read_notebook(release.solved.decode("utf-8"))


def _read(layout: Layout) -> nbformat.NotebookNode | None:
    try:
        notebook = read_notebook(read_text(layout.samples / SAMPLE))
        nbformat.validate(notebook)
        return notebook
    except Exception:  # noqa: BLE001 (whatever is wrong with it, the next execution replaces it)
        return None
