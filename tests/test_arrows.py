"""The rooms import each other only as allowed; the imports are read from the source."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.support.sources import ROOT, name_of, python_files, tree_of

PROJECT = {"rlhf_kit", "solutions", "assignment", "autograder", "inside", "tests"}
# Packages that a student's machine and the sandbox both have.
STANDARD_STACK = {
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "datasets",
    "numpy",
    "scipy",
    "matplotlib",
    "tqdm",
}
IN_NOTEBOOK_ONLY = {"IPython", "google", "otter"}  # imported inside functions, if installed


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute module name) of every import, also inside functions and by import_module("…").

    `from a import b` gives a.b, because b may be a module: compare prefixes.
    """
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    if package[:2] == ["student_template", "rlhf_kit"]:
        package = package[1:]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif _imports_by_name(node):
            yield node.lineno, str(node.args[0].value)


def _imports_by_name(node: ast.AST) -> TypeGuard[ast.Call]:
    """Tell whether this is a call such as import_module("assignment.registry")."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    return ast.unparse(node.func).endswith(("import_module", "__import__"))


def test_the_rooms_import_each_other_only_downwards():
    """The layers stand in pyproject.toml. The linter changes how a process logs, so it runs in one of its own."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    path = os.pathsep.join([str(ROOT), str(ROOT / "student_template")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"run lint-imports: {done.stdout[-3000:]}{done.stderr[-1000:]}"


def test_layers_are_kept_without_an_exception():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    rooms = {path.parent.name for path in (ROOT / "autograder").glob("*/__init__.py")}
    layers = config["contracts"][0]["layers"]
    named = {room.strip().removeprefix("autograder.") for layer in layers for room in layer.split("|")}
    assert rooms - named == set()
    assert [c["name"] for c in config["contracts"] if c.get("ignore_imports")] == []


def test_code_inside_the_sandbox_does_not_rely_on_the_name_autograder():
    absolute = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("autograder/inside")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and not node.level and str(node.module).startswith("autograder")
    ]
    assert absolute == []


@pytest.mark.parametrize("room", ["autograder/inside", "student_template/rlhf_kit"])
def test_the_worker_and_the_kit_import_only_the_standard_stack(room):
    known = set(sys.stdlib_module_names) | STANDARD_STACK | PROJECT
    if room.endswith("rlhf_kit"):
        known |= IN_NOTEBOOK_ONLY
    foreign = {
        f"{name_of(path)}:{line} {module}"
        for path in python_files(room)
        for line, module in imports(path)
        if module.split(".")[0] not in known
    }
    assert foreign == set()


def test_no_room_imports_trl():
    """Its import takes seconds, and its interface moves."""
    found = [
        f"{name_of(path)}:{line}"
        for path in python_files("autograder", "assignment", "student_template/rlhf_kit")
        for line, module in imports(path)
        if module.split(".")[0] == "trl"
    ]
    assert found == []


HIDDEN = """
import importlib
def f():
    from ..assignment import spec
    return importlib.import_module("solutions.p1")
"""


def test_a_forbidden_import_is_seen_wherever_it_hides(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "autograder").mkdir()
    (tmp_path / "autograder" / "x.py").write_text(HIDDEN)
    seen = {module for _, module in imports(tmp_path / "autograder" / "x.py")}
    assert seen == {"importlib", "assignment.spec", "solutions.p1"}
