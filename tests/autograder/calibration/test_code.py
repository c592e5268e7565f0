"""The hash of the code that decides a run's statistics: what it depends on, and that no file is missing from it."""

from __future__ import annotations

from pathlib import Path

import autograder.calibration.code as code
from autograder.calibration.code import ROOT, code_hash, deciding_files, tree_text
from autograder.training.run import STAGES
from tests.test_trusted_imports import graph

# Files that the code of a stage imports and that decide no number: names, records, transport, figures.
SANDBOX = {path.stem for path in (ROOT / "autograder" / "sandbox").glob("*.py")}
ANSWERS = {path.stem for path in (ROOT / "autograder" / "parsing" / "answers").glob("*.py")}
NOT_DECIDING = {
    "assignment": {"__init__", "files"},
    "assignment/registry": {"__init__", "consistency", "reading", "spec", "tables", "thresholds",
                            "validation_errors"},
    "assignment/lab": {"__init__", "folders"},
    "autograder": {"__init__"},
    "autograder/core": {"__init__", "failures", "messages", "records"},
    "autograder/reference": {"__init__"},
    "autograder/sandbox": SANDBOX,
    "autograder/inside": {"__init__", "namespace", "operations", "outcome", "relay", "restrict", "source", "system",
                          "wire"},
    "autograder/training": {"__init__", "messages", "outcome"},
    "student_template/rlhf_kit": {"__init__", "checks", "conversations", "data", "demo", "drawing", "environment",
                                  "export", "export_warnings", "figure", "files", "going_on", "history", "intervals",
                                  "looks", "model_files", "needs", "otter_format", "plots", "progress", "recorded",
                                  "results", "returned", "saved_work", "stopping"},
    "student_template/rlhf_kit/answers": ANSWERS,
}  # fmt: skip


def test_tree_text_ignores_comments_docstrings_and_layout_only() -> None:
    source = 'def f(x):\n    """Old words."""\n    return 2 * x  # twice\n'
    assert tree_text(source) == tree_text('def f(x):\n    """New."""\n\n    return 2*x\n')
    assert tree_text(source) != tree_text(source.replace("2 * x", "3 * x"))


def test_tree_text_is_that_of_python_3_11_in_every_version() -> None:
    """Later versions show other empty fields."""
    assert tree_text("def f():\n    pass\n\nclass C:\n    pass\n") == (
        "Module(body=[FunctionDef(name='f', args=arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], "
        "defaults=[]), body=[Pass()], decorator_list=[]), ClassDef(name='C', bases=[], keywords=[], body=[Pass()], "
        "decorator_list=[])], type_ignores=[])"
    )


def test_tree_text_without_imports_ignores_modules_but_not_imported_names() -> None:
    source = "from a.b import c\nimport d.e as f\n\ndef g():\n    import h.i\n    return c, f, h\n"
    moved = source.replace("a.b", "x.y.z").replace("d.e", "w").replace("h.i", "h.j")
    assert tree_text(source, imports=False) == tree_text(moved, imports=False)
    assert tree_text(source) != tree_text(moved)
    swapped = "\n".join([*reversed(source.splitlines()[:2]), *source.splitlines()[2:]])
    assert tree_text(source, imports=False) == tree_text(swapped, imports=False)
    assert tree_text(source, imports=False) != tree_text(source.replace("import c", "import k as c, l"), imports=False)
    assert tree_text(source, imports=False) != tree_text(source.replace("import c\n", "import k\n"), imports=False)


def test_every_imported_file_is_listed_as_deciding_or_not() -> None:
    used = set().union(*(graph(type(s).__module__) for s in STAGES), graph("autograder.inside.stages"))
    not_deciding = {ROOT / folder / f"{name}.py" for folder, names in NOT_DECIDING.items() for name in names}
    hashed_here = {
        path for path in used if path.parts[len(ROOT.parts)] != "solutions"
    }  # those are in the subjects' keys
    assert {str(path.relative_to(ROOT)) for path in hashed_here - not_deciding - set(deciding_files())} == set()
    assert set(deciding_files()) <= used  # every file in the list is imported


def test_module_of_a_stage_changes_the_hash_of_that_stage_alone(monkeypatch) -> None:
    before = [code_hash(stage) for stage in STAGES]
    code_hash.cache_clear()
    read = Path.read_text

    def changed(self: Path, encoding: str) -> str:
        return read(self, encoding=encoding) + ("\nX = 1\n" if self.stem == "ppo" else "")

    monkeypatch.setattr(Path, "read_text", changed)
    after = [code.code_hash(stage) for stage in STAGES]
    code_hash.cache_clear()
    assert [stage.op for stage, a, b in zip(STAGES, before, after, strict=True) if a != b] == ["stage_ppo"]
