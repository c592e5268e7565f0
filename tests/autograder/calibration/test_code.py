"""The hash of the code that decides a run's statistics: what changes it, and what it must not leave out."""

from __future__ import annotations

from pathlib import Path

import autograder.calibration.code as code
from autograder.calibration.code import ROOT, code_hash, deciding_files, essence
from autograder.training.run import STAGES
from tests.test_trusted_imports import graph

# Imported on the way by the code of a stage, without a say in any number: names, records, wires, pictures.
EVERY = {path.stem for path in (ROOT / "autograder" / "sandbox").glob("*.py")}
CARRIES = {
    "assignment": {"__init__", "files"},
    "assignment/registry": {"__init__", "consistency", "spec", "tables", "thresholds", "validation_errors"},
    "assignment/lab": {"__init__", "folders", "ship"},
    "autograder": {"__init__"},
    "autograder/core": {"__init__", "failures", "messages", "records"},
    "autograder/reference": {"__init__"},
    "autograder/sandbox": EVERY,
    "autograder/inside": {"__init__", "namespace", "operations", "outcome", "relay", "restrict", "source", "system",
                          "wire"},
    "autograder/training": {"__init__", "messages", "outcome"},
    "student_template/rlhf_kit": {"__init__", "checks", "data", "demo", "environment", "export", "figure",
                                  "otter_format", "plots", "progress", "results"},
}  # fmt: skip


def test_the_state_of_the_code_ignores_comments_and_docstrings_and_nothing_else() -> None:
    source = 'def f(x):\n    """Old words."""\n    return 2 * x  # twice\n'
    assert essence(source) == essence('def f(x):\n    """New."""\n\n    return 2*x\n')
    assert essence(source) != essence(source.replace("2 * x", "3 * x"))


def test_the_state_of_the_code_is_the_same_in_every_version_of_python() -> None:
    """Versions differ in the fields that they show when these are empty; this is what 3.11 shows."""
    assert essence("def f():\n    pass\n\nclass C:\n    pass\n") == (
        "Module(body=[FunctionDef(name='f', args=arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], "
        "defaults=[]), body=[Pass()], decorator_list=[]), ClassDef(name='C', bases=[], keywords=[], body=[Pass()], "
        "decorator_list=[])], type_ignores=[])"
    )


def test_the_state_of_the_code_ignores_where_a_name_is_imported_from() -> None:
    source = "from a.b import c\nimport d.e as f\n\ndef g():\n    import h.i\n    return c, f, h\n"
    moved = source.replace("a.b", "x.y.z").replace("d.e", "w").replace("h.i", "h.j")
    assert essence(source, imports=False) == essence(moved, imports=False)
    assert essence(source) != essence(moved)
    swapped = "\n".join([*reversed(source.splitlines()[:2]), *source.splitlines()[2:]])
    assert essence(source, imports=False) == essence(swapped, imports=False)
    assert essence(source, imports=False) != essence(source.replace("import c", "import k as c, l"), imports=False)
    assert essence(source, imports=False) != essence(source.replace("import c\n", "import k\n"), imports=False)


def test_every_file_that_a_stage_imports_decides_or_carries() -> None:
    used = set().union(*(graph(type(s).__module__) for s in STAGES), graph("autograder.inside.stages"))
    carried = {ROOT / folder / f"{name}.py" for folder, names in CARRIES.items() for name in names}
    ours = {path for path in used if path.parts[len(ROOT.parts)] != "solutions"}  # they are in the subjects' keys
    assert {str(path.relative_to(ROOT)) for path in ours - carried - set(deciding_files())} == set()
    assert set(deciding_files()) <= used  # none is named for nothing


def test_a_stages_own_module_concerns_its_runs_only(monkeypatch) -> None:
    before = [code_hash(stage) for stage in STAGES]
    code_hash.cache_clear()
    read = Path.read_text
    changed = lambda self, **kw: read(self, **kw) + ("\nX = 1\n" if self.stem == "ppo" else "")  # noqa: E731
    monkeypatch.setattr(Path, "read_text", changed)
    after = [code.code_hash(stage) for stage in STAGES]
    code_hash.cache_clear()
    assert [stage.op for stage, a, b in zip(STAGES, before, after) if a != b] == ["stage_ppo"]
