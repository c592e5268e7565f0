"""The state of the code that a run's statistics depend on, as a short hash: comments, docstrings and the modules
that names are imported from do not count.

A study takes hours: what decides a number makes its runs stale, what carries it (sandbox, reports, plots) does not.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from pathlib import Path

from autograder.training.run import STAGES
from autograder.training.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
EMPTY_LISTS = {"show_empty": True} if sys.version_info >= (3, 13) else {}  # options of ast.dump
KIT = "student_template/rlhf_kit"
# Training in the sandbox, the rows that it is given, the measuring of what comes back; by folder.
DECIDES: dict[str, tuple[str, ...]] = {
    "autograder/training": ("comparison", "data", "encoding", "measure", "ppo", "reward_model", "sft", "stage",
                            "statistics", "weights"),
    "autograder/inside": ("replies", "snapshots", "stages"),
    "autograder/reference": ("models",),
    KIT: ("batching", "config", "gold", "lexicon", "models", "pipeline", "sampling", "scoring"),
    "assignment/lab": ("draw", "experiment", "onpolicy", "phrasing", "prompts", "replies", "style", "world"),
}  # fmt: skip


def deciding_files() -> tuple[Path, ...]:
    """Every file whose code decides the statistics of some stage."""
    return tuple(ROOT / folder / f"{name}.py" for folder, names in DECIDES.items() for name in names)


@lru_cache(maxsize=8)
def code_hash(stage: Stage) -> str:
    """Hash of the code that decides a stage's statistics: another stage's own module does not."""
    others = {module_name(one) for one in STAGES} - {module_name(stage)}
    files = [path for path in deciding_files() if path.stem not in others]
    return digest(*(essence(path.read_text(encoding="utf-8"), imports=False) for path in files))


def module_name(stage: Stage) -> str:
    """Name of the module that holds a stage."""
    return type(stage).__module__.rpartition(".")[2]


def essence(source: str, *, imports: bool = True) -> str:
    """The syntax tree of a source as text, without docstrings: equal for sources that do the same by their form.

    imports: False leaves import statements out and adds the sorted names that they bind, so that a module may move.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    if imports:
        return _dumped(tree)
    left_out = _Imports()
    tree = left_out.visit(tree)
    return f"{_dumped(tree)} {sorted(left_out.bound)}"


def _dumped(tree: ast.AST) -> str:
    """`ast.dump` with one text for all versions of Python: 3.12 adds the field type_params to definitions, and 3.13
    leaves empty lists out (https://docs.python.org/3/library/ast.html#ast.dump)."""
    for node in ast.walk(tree):
        if getattr(node, "type_params", None) == []:
            del node.type_params  # type: ignore[attr-defined]
    return ast.dump(tree, **EMPTY_LISTS)


class _Imports(ast.NodeTransformer):
    """Takes the import statements out of a tree and collects the names that they bind."""

    def __init__(self) -> None:
        self.bound: list[str] = []

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound += [alias.asname or alias.name.partition(".")[0] for alias in node.names]

    visit_ImportFrom = visit_Import


def digest(*parts: str) -> str:
    """Twelve hexadecimal digits of the parts' sha256."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
