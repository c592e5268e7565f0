"""The files around the code: version, package data, public interface, workflows, hooks, attributes of files."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from setuptools import Distribution

import autograder
from assignment.registry import load_spec
from assignment.release import release
from tests.support.sources import ROOMS, ROOT, name_of

CALLERS = sorted(
    [*(ROOT / ".github").rglob("*.yml"), ROOT / ".ci" / "run", ROOT / "Dockerfile",
     ROOT / ".devcontainer" / "devcontainer.json"]
)  # fmt: skip
TYPED = ("assignment", "autograder", "rlhf_kit")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Read pyproject.toml as setuptools does, without building anything."""
    monkeypatch.chdir(ROOT)
    found = Distribution()
    found.parse_config_files()
    return found


# ---------------------------------------------------------------- version and package data


def test_the_packages_version_is_the_registrys(distribution):
    assert distribution.metadata.version == load_spec().version


def test_the_version_is_written_down_once():
    assert "version" not in tomllib.loads(read("pyproject.toml"))["project"]
    assert "version" not in yaml.safe_load(read("CITATION.cff"))


def test_every_source_names_the_same_license(distribution):
    assert distribution.metadata.license_expression == yaml.safe_load(read("CITATION.cff"))["license"] == "Apache-2.0"
    assert "Apache License" in read("LICENSE")


def test_every_source_names_the_same_authors(distribution):
    (author,) = yaml.safe_load(read("CITATION.cff"))["authors"]
    assert distribution.metadata.author == author["name"]
    assert f"Copyright 2026 {author['name']}\n" in read("LICENSE")


@pytest.fixture
def package_data(distribution: Distribution) -> set[str]:
    """List the files that an installation gets besides modules, as paths in the repository."""
    command = distribution.get_command_obj("build_py")
    command.ensure_finalized()
    return {(Path(source) / name).as_posix() for _, source, _, names in command.data_files for name in names}


@pytest.mark.parametrize("package", TYPED)
def test_an_installation_is_typed(package, package_data):
    folder = "student_template/rlhf_kit" if package == "rlhf_kit" else package
    assert f"{folder}/py.typed" in package_data


def test_an_installation_has_the_stub_of_the_public_interface(package_data):
    assert "autograder/__init__.pyi" in package_data


# ---------------------------------------------------------------- public interface

IN_A_FRESH_PROCESS = """
import json, sys
import autograder
early = [name for name in ("torch", "pydantic", "numpy") if name in sys.modules]
kinds = {name: type(getattr(autograder, name)).__name__ for name in autograder.__all__}
print(json.dumps({"early": early, "kinds": kinds}))
"""


@cache
def fresh_process() -> dict[str, Any]:
    """Import `autograder` alone in a new process, because other tests import its modules here."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS],
        cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'student_template'}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_importing_the_package_imports_no_large_library():
    assert fresh_process()["early"] == []


def test_the_public_interface_is_one_function_and_its_types():
    kinds = fresh_process()["kinds"]
    assert kinds == {name: "function" if name == "grade" else "type" for name in autograder.__all__}
    assert {"grade", "Options", "Grading", "IntakeError"} <= set(kinds)


def test_every_public_name_has_a_module():
    assert sorted(autograder.__all__) == sorted(autograder._HOMES)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'grades'"):
        _ = autograder.grades


def test_type_checkers_see_the_same_names_in_the_same_modules():
    seen = {
        (node.module, alias.name)
        for node in ast.parse(read("autograder/__init__.pyi")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {(module, name) for module, names in autograder._MODULES.items() for name in names}


# ---------------------------------------------------------------- make, workflows, hooks


def targets() -> set[str]:
    """Return the targets of the Makefile, with the variables in their names filled in."""
    names = re.findall(r"^([\w$(){}./-]+):(?!=)", read("Makefile"), re.MULTILINE)
    return {name.replace("$(VENV)", ".venv") for name in names}


def makes(path: Path) -> Iterator[str]:
    """Yield the targets of all calls of make in a file."""
    for call in re.findall(r'(?:^|run: |RUN |")make ([^\n]+)', path.read_text(encoding="utf-8"), re.MULTILINE):
        without_variables = re.sub(r'\w+=("[^"]*"|\S+)', "", call)
        yield from re.match(r"[a-z./ -]*", without_variables)[0].split()


@pytest.mark.parametrize("path", CALLERS, ids=name_of)
def test_only_targets_that_exist_are_made(path):
    assert set(makes(path)) - targets() == set()


def test_the_files_that_call_make_are_read():
    """Guards the two expressions above: these calls are known to be there."""
    found = {target for path in CALLERS for target in makes(path)}
    assert {"lint", "docs", "test", "test-newest", "matrix", "system", "setup", ".venv/.lock-stamp"} <= found


@pytest.mark.parametrize("path", [path for path in CALLERS if path.suffix == ".yml"], ids=name_of)
def test_a_workflow_runs_make_alone(path):
    """So that whatever fails on a server can be repeated on any machine."""
    runs = re.findall(r"^\s*(?:- )?run: (.*)$", path.read_text(), re.MULTILINE)
    assert [run for run in runs if not run.startswith("make ")] == []


def test_every_target_is_explained_by_make_help():
    phony = re.search(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)[1].split()
    explained = re.findall(r'@echo "make ([\w-]+)  ', read("Makefile"))
    assert sorted(explained) == sorted(set(phony) - {"help"})


def hooks() -> list[list[str]]:
    """Return the commands of the pre-commit hooks, split into words."""
    config = yaml.safe_load(read(".pre-commit-config.yaml"))
    return [hook["entry"].split() for repo in config["repos"] for hook in repo["hooks"]]


def test_every_hooks_program_is_installed_with_the_project():
    folders = {str(Path(program).parent) for program, *_ in hooks()}
    assert folders == {".venv/bin"}
    here = str(Path(sys.executable).parent)
    assert [program for program, *_ in hooks() if shutil.which(Path(program).name, path=here) is None] == []


def test_hooks_run_the_commands_of_make_lint():
    recipe = re.search(r"^lint: setup\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)[1]
    lint = [line.replace("$(BIN)", ".venv/bin").split() for line in recipe.splitlines()]
    assert [words[:2] for words in hooks()] == [words[:2] for words in lint]


# ---------------------------------------------------------------- attributes of files


def patterns(attribute: str) -> list[str]:
    lines = [line.split() for line in read(".gitattributes").splitlines() if line and not line.startswith("#")]
    return [pattern for pattern, *attributes in lines if attribute in attributes]


def test_exactly_what_the_build_writes_is_marked_as_generated():
    marked = {name_of(path) for pattern in patterns("linguist-generated") for path in ROOT.glob(pattern)}
    assert marked == {f"student_template/{name}" for name in release.build().generated}


def test_every_binary_file_is_marked_as_binary():
    files = (path for room in (*ROOMS, "docs") for path in (ROOT / room).rglob("*"))
    binary = {
        path.suffix
        for path in files
        if path.is_file() and "__pycache__" not in path.parts and b"\0" in path.read_bytes()[:8192]
    }
    assert binary - {pattern.removeprefix("*") for pattern in patterns("binary")} == set()
