"""A short hash of the code that decides a run's statistics. Comments, docstrings and the modules that names are
imported from are not part of it.

A study takes hours, so only code that decides a number makes its runs outdated. Code that transports or shows a number
(sandbox, reports, plots) does not.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.training.run import STAGES

if TYPE_CHECKING:
    from autograder.training.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
EMPTY_LISTS = {"show_empty": True} if sys.version_info >= (3, 13) else {}  # options of ast.dump
KIT = "student_template/rlhf_kit"
# Files that decide statistics, by folder: training in the sandbox, the rows to train on, the measurements.
DECIDING: dict[str, tuple[str, ...]] = {
    "autograder/training": ("comparison", "data", "encoding", "measure", "ppo", "reward_model", "sft", "stage",
                            "statistics", "weights"),
    "autograder/inside": ("replies", "snapshots", "stages"),
    "autograder/reference": ("models",),
    KIT: ("batching", "config", "gold", "lexicon", "models", "packed", "packing", "pipeline", "sampling", "scoring"),
    "assignment/lab": ("draw", "experiment", "onpolicy", "phrasing", "prompts", "replies", "style", "world"),
}  # fmt: skip


def deciding_files() -> tuple[Path, ...]:
    """Return every file whose code decides the statistics of some stage."""
    return tuple(ROOT / folder / f"{name}.py" for folder, names in DECIDING.items() for name in names)


@lru_cache(maxsize=8)
def code_hash(stage: Stage) -> str:
    """Return the hash of the code that decides a stage's statistics. The modules of other stages are left out."""
    others = {module_name(one) for one in STAGES} - {module_name(stage)}
    files = [path for path in deciding_files() if path.stem not in others]
    return short_hash(*(tree_text(path.read_text(encoding="utf-8"), imports=False) for path in files))


def module_name(stage: Stage) -> str:
    """Return the name of the module that defines a stage."""
    return type(stage).__module__.rpartition(".")[2]


def tree_text(source: str, *, imports: bool = True) -> str:
    """Return the syntax tree of a source as text, without docstrings. It is equal for sources that differ only in
    comments, docstrings and layout.

    imports: False replaces import statements by the sorted names that they bind, so that modules may move.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    if imports:
        return _dumped(tree)
    left_out = _Imports()
    tree = left_out.visit(tree)
    return f"{_dumped(tree)} {sorted(left_out.bound)}"


def _dumped(tree: ast.AST) -> str:
    """Return `ast.dump`'s text as Python 3.11 writes it: 3.12 adds the field type_params to definitions, and 3.13
    leaves empty lists out (https://docs.python.org/3/library/ast.html#ast.dump)."""
    for node in ast.walk(tree):
        if getattr(node, "type_params", None) == []:
            del node.type_params  # type: ignore[attr-defined]
    return ast.dump(tree, **EMPTY_LISTS)


class _Imports(ast.NodeTransformer):
    """Removes the import statements of a tree and collects the names that they bind."""

    def __init__(self) -> None:
        self.bound: list[str] = []

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound += [alias.asname or alias.name.partition(".")[0] for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.visit_Import(node)


def short_hash(*parts: str) -> str:
    """Return the first twelve hexadecimal digits of the parts' sha256."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
