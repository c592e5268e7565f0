"""Files are written through `assignment.files`, which never leaves half a file (CONTRIBUTING, "Writing files")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.sources import name_of, python_files, tree_of

WRITES = {"write_text", "write_bytes", "savefig", "extractall", "save_pretrained", "save_file", "copytree", "replace"}
# Files that write otherwise, and why they cannot replace a person's file.
OTHERWISE = {
    "assignment/files.py": "it defines the writing of files",
    "assignment/lab/folders.py": "a scratch folder, which takes the place of what was checked before",
    "assignment/lab/pretrain.py": "the same scratch folder",
    "assignment/lab/ship.py": "the same scratch folder",
    "assignment/lab/recorded.py": "the same scratch folder",
    "assignment/lab/outcomes.py": "adds whole lines",
    "assignment/verify/gate.py": "a temporary folder",
    "assignment/verify/check_runner.py": "a temporary folder",
    "assignment/verify/public_checks.py": "a temporary folder",
    "assignment/verify/execution.py": "a temporary folder",
    "assignment/verify/static.py": "a temporary folder",
    "autograder/calibration/figure.py": "draws into memory",
    "autograder/calibration/tables.py": "adds whole lines",
    "autograder/report/__init__.py": "renames what `assignment.files` wrote, all four together",
    "autograder/doctor/reach.py": "inside a sandbox, and a temporary folder",
    "autograder/sandbox/cgroup.py": "files of the kernel",
    "autograder/sandbox/landlock.py": "a temporary folder",
}


def writes(path: Path) -> Iterator[str]:
    """Yield the calls that write a file: `open` with a mode that writes, and methods that do nothing else."""
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        constants = [one.value for one in given if isinstance(one, ast.Constant)]
        mode = any(isinstance(one, str) and set(one) & set("wax") and set(one) <= set("wax+bt") for one in constants)
        renames = name == "replace" and len(node.args) == 1 and not node.keywords
        if (name == "open" and mode) or (name in WRITES - {"replace"}) or renames:
            yield f"{name_of(path)}:{node.lineno} {name}"


def test_no_other_file_of_the_instructors_side_or_the_grader_writes_files():
    files = [path for path in python_files("assignment", "autograder") if name_of(path) not in OTHERWISE]
    files = [path for path in files if not name_of(path).startswith("autograder/inside/")]  # runs in the sandbox
    assert [found for path in files for found in writes(path)] == []


def test_every_exception_still_writes_something():
    paths = {name_of(path): path for path in python_files("assignment", "autograder")}
    assert [name for name in OTHERWISE if name not in paths or not list(writes(paths[name]))] == []
