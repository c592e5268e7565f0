"""Rules that a linter does not know: short files, short functions, documented and typed interfaces."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.sources import ROOMS, ROOT, name_of, python_files, tree_of

MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 40
MERGE_MARKS = ("<" * 7 + " ", ">" * 7 + " ")  # written so that this file holds none
WRITTEN_BY_HAND = {".md", ".py", ".pyi", ".toml", ".yml", ".cff", ".lock"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def public_definitions(path: Path) -> Iterator[Function | ast.ClassDef]:
    """Yield public functions, classes and methods; what is defined inside a function is private.

    Methods of a class with bases count as inherited: their contract stands where the base defines it.
    """
    stack: list[ast.Module | ast.ClassDef] = [tree_of(path)]
    while stack:
        for node in stack.pop().body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef) and not node.bases:
                    stack.append(node)


def documented_files() -> list[Path]:
    return python_files("assignment", "autograder", "student_template")


def lines_of(path: Path) -> int:
    """Count a file's lines. The text of a part under solutions/ is the handout, and not counted."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.parent.name == "solutions":
        lines = [line for line in lines if not line.startswith("# ") and line != "#"]
    return len(lines)


def test_no_file_is_longer_than_250_lines():
    long = {name_of(path): lines_of(path) for path in python_files()}
    assert {name: lines for name, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_40_lines():
    long = {
        f"{name_of(path)}:{node.lineno} {node.name}": length
        for path in python_files()
        for node in functions(path)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_no_file_holds_marks_of_a_merge():
    folders = [ROOT / room for room in (*ROOMS, "docs")]
    files = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    texts = [path for path in files if path.is_file() and path.suffix in WRITTEN_BY_HAND]
    assert len(texts) > len(python_files()), "documents are read too"
    marked = [path for path in texts if any(line.startswith(MERGE_MARKS) for line in path.open(encoding="utf-8"))]
    assert [name_of(path) for path in marked] == []


def test_every_module_says_what_it_is_for():
    written = [path for path in documented_files() if path.stat().st_size]
    assert [name_of(path) for path in written if not ast.get_docstring(tree_of(path))] == []


def test_every_public_definition_has_a_docstring():
    silent = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in documented_files()
        for node in public_definitions(path)
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_public_function_has_a_typed_signature():
    untyped = []
    for path in documented_files():
        for node in public_definitions(path):
            if isinstance(node, Function):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
                if bare or node.returns is None:
                    untyped.append(f"{name_of(path)}:{node.lineno} {node.name}")
    assert untyped == []
