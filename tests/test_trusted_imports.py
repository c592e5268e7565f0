"""The process that grades: along its whole import graph, nothing unpickles, and nothing runs a student's text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.sources import ROOT, name_of, tree_of
from tests.test_arrows import OURS, imports

ENTRY = "autograder.cli"
# Modules that unpickle, or that load code from data.
FORBIDDEN_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pandas"}
# Calls that do, by their last name, or by the end of their dotted name.
FORBIDDEN_NAMES = {"exec", "eval", "compile", "execfile", "Unpickler", "read_pickle", "load_module"}
FORBIDDEN_ENDS = ("torch.load", "torch.jit.load", "torch.package", "pickle.load", "pickle.loads", "hub.load")
# These run in a limited child process and never in the grader itself (limited.run_limited names them).
LIMITED = ("autograder.intake_archive:parse_submission", "autograder.extract_cells:parse_cells",
           "autograder.quality_static:inspect")  # fmt: skip
# Of the worker's package the grader itself uses these; the rest runs in the sandbox, where student code runs too.
SHARED_WITH_INSIDE = {"__init__", "wire", "relay", "restrict", "system", "registry", "snapshots"}
# `exec` where the text is ours: the library of known mistakes, and the public checks in a student's own notebook.
RUNS_OUR_OWN = {"autograder/misconceptions/local.py", "student_template/rlhf_kit/otter_format.py"}
# `ast` where the text is ours: the reference's source, split for replacement.
PARSES_OUR_OWN = {"autograder/replacement.py", "autograder/calibration/code.py"}


@cache
def imported(path: Path) -> tuple[tuple[int, str], ...]:
    """What a file imports; each file is parsed once."""
    return tuple(imports(path))


@cache
def path_of(module: str) -> Path | None:
    """The file of one of our modules; None for a name inside a module and for all that is not ours."""
    base = ROOT / "student_template" if module.split(".")[0] == "rlhf_kit" else ROOT
    stem = base.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def graph(entry: str) -> frozenset[Path]:
    """Files of ours that importing `entry` may reach, imports inside functions included."""
    seen: set[Path] = set()
    queue = [entry]
    while queue:
        module = queue.pop()
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):  # a.b.c imports a and a.b too
            path = path_of(".".join(parts[:depth]))
            if path is not None and path not in seen and parts[0] in OURS:
                seen.add(path)
                queue += [name for _, name in imported(path)]
    return frozenset(seen)


def offences(path: Path) -> Iterator[str]:
    """Imports and calls that the grader's process must not make."""
    for line, module in imports(path):
        if module.split(".")[0] in FORBIDDEN_MODULES:
            yield f"{name_of(path)}:{line} imports {module}"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            plain = isinstance(node.func, ast.Name)
            if (plain and called in FORBIDDEN_NAMES) or called.endswith(FORBIDDEN_ENDS):
                yield f"{name_of(path)}:{node.lineno} calls {called}"
            pickles = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            if pickles or any(k.arg == "weights_only" for k in node.keywords):
                yield f"{name_of(path)}:{node.lineno} allows pickles"


def trusted() -> set[Path]:
    """What the grading process may import: the graph of the command without the worker's own modules and without
    what only `build` and `verify` need."""
    build_and_verify = graph("assignment.cli")
    inside = {path for path in graph(ENTRY) if "inside" in path.parts}
    shared = graph("autograder.grade") | graph("autograder.phases") | graph("autograder.training.run")
    allowed = {path for path in inside if path.stem in SHARED_WITH_INSIDE}
    return ((graph(ENTRY) - build_and_verify) | shared) - (inside - allowed)


def test_the_graph_holds_the_whole_grader():
    names = {name_of(path) for path in trusted()}
    assert {"autograder/judge.py", "autograder/training/weights.py", "autograder/report/ta.py",
            "autograder/sandbox/link.py", "autograder/protocol.py", "assignment/spec.py"} <= names  # fmt: skip
    assert len(names) > 80


def test_nothing_in_the_graph_unpickles_or_executes_text():
    found = [line for path in sorted(trusted()) for line in offences(path)]
    allowed = RUNS_OUR_OWN | {"autograder/extract_python.py"}  # the latter in the limited child alone: next test
    assert [line for line in found if line.partition(":")[0] not in allowed] == []
    assert {line.partition(":")[0] for line in found} == allowed  # an exception that is not needed goes


def test_students_text_is_parsed_in_a_limited_process_alone():
    """A module that uses `ast` is one that only limited children call into, or parses our own text."""
    limited = {name_of(path) for name in LIMITED for path in graph(name.partition(":")[0])}
    ours = (path for path in trusted() if path.is_relative_to(ROOT / "autograder"))
    parsing = {name_of(path) for path in ours if any(module.split(".")[0] == "ast" for _, module in imported(path))}
    assert parsing - limited - PARSES_OUR_OWN == set()


def test_each_limited_entry_is_called_by_name_only():
    """Intake, extraction and quality hand these names to run_limited."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "autograder").glob("*.py")))
    assert [name for name in LIMITED if f'"{name}"' not in text] == []


@pytest.mark.parametrize("line", [
    "import pickle", "from joblib import load", "import torch\ntorch.load(1)", "np.load(f, allow_pickle=True)",
    "exec(text)", "def f():\n    import _pickle",
])  # fmt: skip
def test_control_an_offence_is_seen(line, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_arrows.ROOT", tmp_path)
    monkeypatch.setattr("tests.sources.ROOT", tmp_path)
    (tmp_path / "autograder").mkdir()
    path = tmp_path / "autograder" / "x.py"
    path.write_text(line)
    assert list(offences(path))
