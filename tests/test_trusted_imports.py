"""In the whole import graph of the grading process, nothing unpickles and nothing runs a student's text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.sources import ROOT, name_of, tree_of
from tests.test_arrows import PROJECT, imports

ENTRY = "autograder.cli"
# Modules that unpickle, that load code from data, or that run text.
FORBIDDEN_MODULES = {
    "pickle", "_pickle", "cPickle", "pickletools", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pandas",
    "code", "codeop", "runpy", "imp", "zipimport",
}  # fmt: skip
FORBIDDEN_PARTS = ("torch.package", "torch.hub", "torch.utils.cpp_extension", "torch.utils.model_zoo")
# Whatever they belong to. `exec`, `eval` and `compile` alone are the builtins; `re.compile` is another thing.
FORBIDDEN_LAST = {"Unpickler", "read_pickle", "load_module", "exec_module", "execfile"}
FORBIDDEN_BUILTINS = {"exec", "eval", "compile", "__builtins__"}
# These run in a limited child process and never in the grader itself; run_limited gets their names.
LIMITED = ("autograder.parsing.archive:parse_submission", "autograder.parsing.cells:parse_cells",
           "autograder.parsing.leftovers:find_leftovers")  # fmt: skip
# The modules of the worker's package that the grader uses too; the others run in the sandbox, beside student code.
SHARED_WITH_INSIDE = {"__init__", "wire", "relay", "restrict", "system", "registry", "snapshots"}
# These use `exec` on the project's text: the library of known mistakes, and the public checks in the notebook.
RUNS_PROJECT_TEXT = {"autograder/slots/misconceptions/in_process.py", "student_template/rlhf_kit/otter_format.py"}
# These only compile: the first in the limited child alone (see the next test but one), its copy in students' notebooks.
COMPILES_STUDENTS_TEXT = {"autograder/parsing/answers/ipython.py", "student_template/rlhf_kit/answers/ipython.py"}
# These use `ast` on the project's text.
PARSES_PROJECT_TEXT = {"autograder/programs/replacement.py", "autograder/calibration/code.py"}


@cache
def imported(path: Path) -> tuple[tuple[int, str], ...]:
    """Return the imports of a file; each file is parsed once."""
    return tuple(imports(path))


@cache
def path_of(module: str) -> Path | None:
    """Return the file of one of the project's modules, or None if the name is not a module of the project."""
    base = ROOT / "student_template" if module.split(".")[0] == "rlhf_kit" else ROOT
    stem = base.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def graph(entry: str) -> frozenset[Path]:
    """Return the project's files that importing `entry` may reach, also by imports inside functions."""
    seen: set[Path] = set()
    queue = [entry]
    while queue:
        module = queue.pop()
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):  # a.b.c imports a and a.b too
            path = path_of(".".join(parts[:depth]))
            if path is not None and path not in seen and parts[0] in PROJECT:
                seen.add(path)
                queue += [name for _, name in imported(path)]
    return frozenset(seen)


def forbidden(name: str) -> bool:
    """Return whether this full dotted name unpickles or runs text, as every name of torch does that begins with load
    (torch.load, torch.serialization.load, torch.jit.load). A module's load_state_dict is no such name."""
    root, last = name.partition(".")[0], name.rpartition(".")[2]
    if name.removeprefix("builtins.") in FORBIDDEN_BUILTINS:
        return True
    by_module = root in FORBIDDEN_MODULES or name.startswith(FORBIDDEN_PARTS)
    return by_module or (root == "torch" and last.startswith(("load", "*"))) or last in FORBIDDEN_LAST


def dotted(node: ast.expr | None, known: dict[str, str]) -> str:
    """Return the full name of an expression, with its first part looked up in `known`. The first part is empty if it is
    neither an import nor a builtin, such as a variable."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id if node.id in FORBIDDEN_BUILTINS else "")
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, known)}.{node.attr}"
    if isinstance(node, ast.Call) and len(node.args) > 1 and ast.unparse(node.func) == "getattr":
        text = node.args[1]  # getattr(torch, "load")
        return f"{dotted(node.args[0], known)}.{text.value if isinstance(text, ast.Constant) else ''}"
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")) and node.args:
        return str(getattr(node.args[0], "value", ""))
    return ""


def aliases(tree: ast.Module) -> dict[str, str]:
    """Return local name -> full name, from imports and from assignments of one name to another."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots = {name: name for name in (alias.name.partition(".")[0] for alias in node.names)}
            known |= roots | {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (name := dotted(node.value, known)):
            known |= {target.id: name for target in node.targets if isinstance(target, ast.Name)}
    return known


def offences(path: Path) -> Iterator[str]:
    """Yield the imports, names and arguments that the grading process must not use, called or not."""
    for line, module in imports(path):
        if forbidden(module):
            yield f"{name_of(path)}:{line} imports {module}"
    tree = tree_of(path)
    known = aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
            name = dotted(node, known)
            if forbidden(name):
                yield f"{name_of(path)}:{node.lineno} uses {name}"
        if isinstance(node, ast.Call):
            pickles = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            if pickles or any(k.arg == "weights_only" for k in node.keywords):
                yield f"{name_of(path)}:{node.lineno} allows pickles"


def trusted() -> set[Path]:
    """Return what the grading process may import: the command's graph without the modules of the worker, and without
    those that only `build` and `verify` need."""
    build_and_verify = graph("assignment.cli")
    inside = {path for path in graph(ENTRY) if "inside" in path.parts}
    shared = graph("autograder.grading.run") | graph("autograder.training.run")
    allowed = {path for path in inside if path.stem in SHARED_WITH_INSIDE}
    return ((graph(ENTRY) - build_and_verify) | shared) - (inside - allowed)


def test_the_graph_holds_the_whole_grader():
    names = {name_of(path) for path in trusted()}
    assert {"autograder/slots/runner.py", "autograder/training/weights.py", "autograder/report/ta.py",
            "autograder/sandbox/link.py", "autograder/sandbox/protocol.py",
            "assignment/registry/spec.py"} <= names  # fmt: skip
    assert len(names) > 80


def test_nothing_in_the_graph_unpickles_or_executes_text():
    found = [line for path in sorted(trusted()) for line in offences(path)]
    allowed = RUNS_PROJECT_TEXT | COMPILES_STUDENTS_TEXT
    assert [line for line in found if line.partition(":")[0] not in allowed] == []
    assert {line.partition(":")[0] for line in found} == allowed  # an exception that is not needed goes


def test_students_text_is_parsed_in_a_limited_process_alone():
    """A module that uses `ast` is called in limited processes alone, or parses the project's text."""
    limited = {name_of(path) for name in LIMITED for path in graph(name.partition(":")[0])}
    grader = (path for path in trusted() if path.is_relative_to(ROOT / "autograder"))
    parsing = {name_of(path) for path in grader if any(module.split(".")[0] == "ast" for _, module in imported(path))}
    assert parsing - limited - PARSES_PROJECT_TEXT == set()


def test_each_limited_entry_is_called_by_name_only():
    """Intake, extraction and quality hand these names to run_limited."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "autograder").rglob("*.py")))
    assert [name for name in LIMITED if f'"{name}"' not in text] == []


EVASIONS = (
    "import pickle", "from joblib import load", "import torch\ntorch.load(1)", "np.load(f, allow_pickle=True)",
    "exec(text)", "def f():\n    import _pickle", "from torch import load\nload(f)", "import torch as t\nt.load(f)",
    "from torch import load as fetch", "import torch\ntorch.serialization.load(f)", "import builtins\nbuiltins.exec(x)",
    "from torch import serialization as s\ns.load(f)", "from torch import jit\njit.load(f)", "from torch import *",
    "import torch\nt = torch\nt.load(f)", "import torch\nread = torch.load\nread(f)", "list(map(exec, texts))",
    "import torch\ngetattr(torch, 'load')(f)", "import importlib\nimportlib.import_module('torch').load(f)",
    "__import__('pickle').loads(x)", "__builtins__['eval'](x)", "import torch.hub as h\nh.load(f)",
    "from importlib.machinery import SourceFileLoader\nSourceFileLoader('a', 'b').load_module()",
)  # fmt: skip
HONEST = "import re\nimport torch\nre.compile('x')\nmodel.load_state_dict(torch.zeros(1))\njson.load(f)\ncode.load = 1"


def offences_of(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the offences of a module with this text."""
    monkeypatch.setattr("tests.test_arrows.ROOT", folder)
    monkeypatch.setattr("tests.support.sources.ROOT", folder)
    (folder / "autograder").mkdir()
    path = folder / "autograder" / "x.py"
    path.write_text(text)
    return list(offences(path))


@pytest.mark.parametrize("text", EVASIONS)
def test_control_an_offence_is_seen(text, tmp_path, monkeypatch):
    assert offences_of(text, tmp_path, monkeypatch)


def test_control_what_is_honest_is_no_offence(tmp_path, monkeypatch):
    assert offences_of(HONEST, tmp_path, monkeypatch) == []
