"""Turn cells into a Jupyter notebook, or into one module of definitions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import nbformat

from assignment.release.markers import SourceError
from assignment.release.passes import (
    BuildOptions,
    Cells,
    blank_slot,
    drop_internal_imports,
    run_passes,
    without_statements,
)
from assignment.release.source import is_main_guard, without_markers

if TYPE_CHECKING:
    from assignment.registry import Spec
    from assignment.release.source import Cell


def to_notebook(cells: Cells, options: BuildOptions) -> nbformat.NotebookNode:
    """Run the passes on the cells and make an nbformat 4.5 notebook without outputs, for the kernel python3.

    Raises:
        SourceError: a pass refuses a cell, or the notebook is not valid.
    """
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(
        cells=[_new_cell(cell) for cell in run_passes(cells, options)],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            options.spec.id: {"version": options.spec.version},
        },
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first version with cell ids
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise SourceError(f"the built notebook is not valid: {str(error).splitlines()[0]}") from error
    return notebook


def _new_cell(cell: Cell) -> Any:
    """Make the notebook's cell for a cell of the parts."""
    if cell.kind == "markdown":
        return nbformat.v4.new_markdown_cell(cell.source, id=cell.id)
    return nbformat.v4.new_code_cell(cell.source, id=cell.id)


def to_bytes(notebook: Any) -> bytes:
    """Write a notebook as the bytes of its file, the same on every machine."""
    text: str = nbformat.writes(notebook, indent=1, sort_keys=True)
    return (text.rstrip("\n") + "\n").encode("utf-8")


def read_notebook(text: str) -> nbformat.NotebookNode:
    """Parse the text of a notebook file, and convert it to nbformat 4 if it is older."""
    notebook: nbformat.NotebookNode = nbformat.reads(text, as_version=4)
    return notebook


def definitions(cells: Cells, spec: Spec, blanks: frozenset[str] = frozenset()) -> str:
    """Join everything that importing the parts defines into the source of one module. blanks: slots left unsolved.

    Code under a main guard (training, plots) is left out, because the checks need the functions alone.
    """
    chunks = ["from __future__ import annotations"]
    for cell in drop_internal_imports(without_main_guards(cells), BuildOptions(spec, solved=True)):
        if cell.kind == "code":
            source = blank_slot(cell, spec) if cell.slot in blanks else without_markers(cell)
            chunks += [ast.unparse(node) for node in ast.parse(source).body if not _is_future(node)]
    return "\n\n".join(chunks) + "\n"


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def without_main_guards(cells: Cells) -> Cells:
    """Remove the code under `if __name__ == "__main__":` from every cell."""
    return tuple(
        without_statements(cell, [node for node in ast.parse(cell.source).body if is_main_guard(node)])
        if cell.kind == "code" else cell
        for cell in cells
    )  # fmt: skip
