"""Cells as a Jupyter notebook, and as one module of definitions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import nbformat

from assignment.release.markers import SourceError
from assignment.release.passes import Cells, Options, blank, drop_internal_imports, run, without_lines
from assignment.release.source import is_main_guard, without_markers

if TYPE_CHECKING:
    from assignment.registry import Spec


def to_notebook(cells: Cells, options: Options) -> nbformat.NotebookNode:
    """Run the pipeline and make an nbformat 4.5 notebook: no outputs, a kernelspec every machine has.

    Raises:
        SourceError: a pass refuses a cell, or the notebook is not valid.
    """
    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(
        cells=[new[cell.kind](cell.source, id=cell.id) for cell in run(cells, options)],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            options.spec.id: {"version": options.spec.version},
        },
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # 4.5: the first with cell ids
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise SourceError(f"the built notebook is not valid: {str(error).splitlines()[0]}") from error
    return notebook


def to_bytes(notebook: Any) -> bytes:
    """The notebook's file, the same bytes on every machine."""
    return (nbformat.writes(notebook, indent=1, sort_keys=True).rstrip("\n") + "\n").encode("utf-8")


def definitions(cells: Cells, spec: Spec, blanks: frozenset[str] = frozenset()) -> str:
    """Everything that importing the parts defines, as one module; slots in `blanks` are unsolved.

    What stands under a main guard (training, plots) is left out: this serves checks that need the
    functions and cannot wait for the demonstrations.
    """
    chunks = ["from __future__ import annotations"]
    for cell in drop_internal_imports(without_main_guards(cells), Options(spec, solved=True)):
        if cell.kind == "code":
            source = blank(cell, spec) if cell.slot in blanks else without_markers(cell)
            chunks += [ast.unparse(node) for node in ast.parse(source).body if not _is_future(node)]
    return "\n\n".join(chunks) + "\n"


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def without_main_guards(cells: Cells) -> Cells:
    """The cells as an import sees them: no code under `if __name__ == "__main__":`."""
    return tuple(
        without_lines(cell, [node for node in ast.parse(cell.source).body if is_main_guard(node)])
        if cell.kind == "code" else cell
        for cell in cells
    )  # fmt: skip
