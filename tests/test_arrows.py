"""Who may import whom: the arrows between the rooms, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import ROOT, name_of, python_files, tree_of

OURS = {"rlhf_kit", "solutions", "assignment", "autograder", "inside", "tests"}
# The instructor's side that the grader may use: the registry, the reference slots as text, the lab world, the console.
SHARED_WITH_GRADER = ("assignment.registry", "assignment.release.source", "assignment.lab", "assignment.console")
# What a student's machine and the sandbox both have.
STANDARD_STACK = {
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "numpy", "scipy", "matplotlib", "tqdm",
}
IN_NOTEBOOK_ONLY = {"IPython", "google", "otter"}  # imported late, where they are there


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module name) of every import, those inside functions and import_module("…") included.

    `from a import b` gives both a.b and, through its prefix, a: the caller compares prefixes.
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
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def trespasses(room: str, *allowed: str, leave_out: str = "") -> list[str]:
    """Imports of our own modules from `room` that go where no arrow leads."""
    return [
        f"{name_of(path)}:{line} imports {module}"
        for path in python_files(room) if not (leave_out and name_of(path).startswith(leave_out))
        for line, module in imports(path)
        if module.split(".")[0] in OURS and not within(module, allowed)
    ]


def test_the_kit_imports_nothing_of_ours():
    assert trespasses("student_template/rlhf_kit", "rlhf_kit") == []


def test_the_solutions_import_only_the_kit():
    assert trespasses("solutions", "solutions", "rlhf_kit") == []


def test_the_instructors_side_does_not_know_the_grader():
    assert trespasses("assignment", "assignment", "solutions", "rlhf_kit") == []


def test_the_grader_imports_only_what_the_instructors_side_shares_with_it():
    allowed = ("autograder", "rlhf_kit", *SHARED_WITH_GRADER)
    found = trespasses("autograder", *allowed, leave_out="autograder/inside/")
    joined = [line for line in found if line.startswith("autograder/cli.py") and "assignment.cli" in line]
    assert sorted(set(found) - set(joined)) == []  # the console script joins the two command lines


def test_code_inside_the_sandbox_imports_only_the_kit_and_itself():
    assert trespasses("autograder/inside", "autograder.inside", "inside", "rlhf_kit") == []


def test_code_inside_the_sandbox_does_not_rely_on_the_name_autograder():
    absolute = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("autograder/inside") for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and not node.level and str(node.module).startswith("autograder")
    ]
    assert absolute == []


@pytest.mark.parametrize("room", ["autograder/inside", "student_template/rlhf_kit"])
def test_what_travels_needs_nothing_but_the_standard_stack(room):
    known = set(sys.stdlib_module_names) | STANDARD_STACK | OURS
    if room.endswith("rlhf_kit"):
        known |= IN_NOTEBOOK_ONLY
    foreign = {
        f"{name_of(path)}:{line} {module}"
        for path in python_files(room) for line, module in imports(path) if module.split(".")[0] not in known
    }
    assert foreign == set()


def test_no_room_imports_trl_whose_import_takes_seconds_and_whose_interface_moves():
    found = [
        f"{name_of(path)}:{line}"
        for path in python_files("autograder", "assignment", "student_template/rlhf_kit")
        for line, module in imports(path) if module.split(".")[0] == "trl"
    ]
    assert found == []


HIDDEN = '''
import importlib
def f():
    from ..assignment import spec
    return importlib.import_module("solutions.p1")
'''


def test_a_forbidden_import_is_seen_wherever_it_hides(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "autograder").mkdir()
    (tmp_path / "autograder" / "x.py").write_text(HIDDEN)
    seen = {module for _, module in imports(tmp_path / "autograder" / "x.py")}
    assert seen == {"importlib", "assignment.spec", "solutions.p1"}
