"""`rlhf-lab build` on broken input: exit code 1 and one line with the file in it, never a traceback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assignment import cli
from assignment.release.release import Layout, build
from tests.support.course import edit_file

PART, CHECK, KIT = "solutions/p3_sft.py", "solutions/checks/T07.py", "student_template/rlhf_kit/__init__.py"


@pytest.fixture
def course(layout: Layout) -> Path:
    """Return the folder of the small course that the command builds."""
    return layout.solutions.parent


def run(*arguments: str) -> tuple[int, str]:
    """Run `build`, and return its exit code and output. Fails after any exception but SystemExit."""
    result = CliRunner().invoke(cli.create_app(), ["build", *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.output


def removed(name: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def a_folder(name: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).mkdir(parents=True)

    return spoil


def a_file(name: str, content: bytes = b"") -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        if (root / name).is_dir():
            shutil.rmtree(root / name)
        (root / name).write_bytes(content)

    return spoil


def a_link_to_nothing(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).symlink_to(root / "nowhere")


def appended(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes((root / name).read_bytes() + content) and None


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: edit_file(root / name, old, new)


REGION = "    # BEGIN SOLUTION T04\n    x = 1\n    # END SOLUTION\n"
BROKEN = {
    "a part is missing": (removed(PART), "solutions: missing p3_sft.py (named in assignment.toml); restore the file"),
    "a part is a folder": (a_folder(PART), "p3_sft.py cannot be read (Is a directory); restore the file"),
    "a part is a link to nothing": (a_link_to_nothing("solutions/p0_x.py"), "p0_x.py cannot be read (No such file"),
    "a part is not UTF-8": (appended(PART, b"# caf\xe9\n"), "p3_sft.py:42: is not UTF-8; save the file in that"),
    "a part does not parse": (appended(PART, b"def f(:\n"), "p3_sft.py:42: does not parse: "),
    "a part holds a null byte": (appended(PART, b"x = 1\0\n"), "does not parse: source code string cannot"),
    "a part has a header that jupytext refuses": (
        replaced(PART, '"""', '# -*- coding: latin-1 -*-\n"""'), "p3_sft.py:1: jupytext cannot read this file's"),
    "a slot has no opening marker": (
        replaced(PART, "    # BEGIN SOLUTION T04\n", ""), "p3_sft.py:19: END SOLUTION without a BEGIN SOLUTION"),
    "a slot has no closing marker": (
        replaced(PART, "    # END SOLUTION\n", ""), "p3_sft.py:17: BEGIN SOLUTION T04 is never closed"),
    "a slot has no first line": (replaced(PART, "# TODO T04 ·", "# Slot four:"), "p3_sft.py:17: a solution region in"),
    "a region stands twice in a cell": (
        replaced(PART, "    # END SOLUTION\n", f"    # END SOLUTION\n{REGION}"), "a second solution region in one"),
    "a slot stands in two cells": (
        replaced(PART, "TODO T05", "TODO T04"), "p3_sft.py:28: BEGIN SOLUTION T05 in the cell of slot T04"),
    "two files are one part": (
        a_file("solutions/p3_sft_old.py"), "solutions: p3_sft.py and p3_sft_old.py are both part 3; keep one of them"),
    "a Python file is no part": (
        a_file("solutions/helpers.py"), "solutions/helpers.py is no part: parts are called p1_name.py to p9_name.py; "
        "move, rename or delete it"),
    "a notebook lies in solutions": (a_file("solutions/p3_sft.ipynb"), "solutions/p3_sft.ipynb is no part"),
    "solutions is missing": (removed("solutions"), "solutions cannot be read (No such file or directory); restore"),
    "a public check is missing": (
        removed(CHECK), "solutions/checks: missing public check T07.py; every slot has one"),
    "a public check is a folder": (a_folder(CHECK), "T07.py cannot be read (Is a directory); restore the file"),
    "a public check does not parse": (appended(CHECK, b"x = = 1\n"), "checks/T07.py:11: does not parse: "),
    "a public check is not UTF-8": (appended(CHECK, b"# caf\xe9\n"), "checks/T07.py:11: is not UTF-8"),
    "a copy lies among the checks": (
        a_file("solutions/checks/T07 (copy).py"), "T07 (copy).py belongs to no slot of assignment.toml; move,"),
    "two files lie among the checks": (
        lambda root: [a_file(f"solutions/checks/{name}")(root) for name in ("conftest.py", "T99.py")] and None,
        "checks/T99.py belongs to no slot of assignment.toml (the same holds for conftest.py); move, rename or"),
    "the folder of checks is missing": (removed("solutions/checks"), "solutions/checks cannot be read (No such file"),
    "the template is missing": (removed("student_template"), "student_template cannot be read (No such file or"),
    "the template has no README": (removed("student_template/README.md"), "student_template: missing README.md, which"),
    "the kit does not parse": (appended(KIT, b"def f(:\n"), "rlhf_kit/__init__.py:6: does not parse: "),
    "the kit is not UTF-8": (appended(KIT, b"# caf\xe9\n"), "rlhf_kit/__init__.py:6: is not UTF-8"),
    "a file of the kit is a link to nothing": (
        a_link_to_nothing("student_template/rlhf_kit/x.json"), "rlhf_kit/x.json cannot be read (No such file or"),
    "the folder of shipped checks is a file": (a_file("student_template/tests"), "student_template/tests cannot be"),
    "dist is a file": (a_file("dist"), "dist cannot be read or written (File exists)"),
    "the zip is a folder": (a_folder("dist/rlhf-student.zip"), "dist/rlhf-student.zip. Keep what you need elsewhere"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_source_or_place_ends_in_one_sentence_and_exit_code_1(course: Path, kind: str) -> None:
    spoil, says = BROKEN[kind]
    spoil(course)
    code, output = run()
    assert (code, len(output.splitlines())) == (1, 1), output
    assert output.startswith("cannot build: ")
    assert says in output


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read (No such file or directory)"), ("[[slot", "not valid TOML")]
)
def test_a_registry_that_is_missing_or_no_toml_ends_in_one_sentence(
    course: Path, content: str | None, says: str
) -> None:
    path = course / "assignment.toml"
    path.unlink()
    if content is not None:
        path.write_text(content)
    code, output = run()
    assert (code, len(output.splitlines())) == (1, 1), output
    assert f"{path}: {says}" in output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("name", [PART, CHECK, KIT])
def test_a_file_without_permission_ends_in_one_sentence(course: Path, name: str) -> None:
    (course / name).chmod(0)
    code, output = run()
    assert (code, len(output.splitlines())) == (1, 1)
    assert "cannot be read (Permission denied)" in output


ASIDE = ["{}~", ".{}.swp", ".#{}", "#{}#", "{}.orig", "{}.bak", ".ipynb_checkpoints/{}", "__pycache__/{}c", "notes.md"]


@pytest.mark.parametrize("pattern", ASIDE)
def test_backups_caches_and_notes_beside_the_sources_change_nothing(course: Path, pattern: str) -> None:
    layout = Layout(course / "solutions", course / "student_template", course / "dist", course / "submissions")
    before = build(layout).archive
    for original in (PART, CHECK):
        path = course / Path(original).parent / pattern.format(Path(original).name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("def (")
    assert build(layout).archive == before
    assert run()[0] == 0


def test_overwrite_does_not_replace_a_folder_at_the_path_of_the_zip(course: Path) -> None:
    a_folder("dist/rlhf-student.zip")(course)
    code, output = run("--overwrite")
    assert (code, len(output.splitlines())) == (1, 1)
    assert "cannot be read or written (Is a directory)" in output


def test_build_check_reports_a_stale_template_without_a_traceback(course: Path) -> None:
    a_file("student_template/tests", b"")(course)
    code, output = run("--check")
    assert code == 1
    assert "tests/T01.py is missing" in output


@pytest.mark.parametrize("mark", ["[red]", "[/]", "[[slot]] T07", ":100:", ":smile:"])
@pytest.mark.parametrize("terminal", [False, True])
def test_what_looks_like_markup_in_a_message_is_shown_as_it_is(
    course: Path, monkeypatch: pytest.MonkeyPatch, mark: str, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    replaced(PART, "# %% [markdown]\n", f'# %% [markdown] note="{mark}"\n')(course)
    code, output = run()
    assert code == 1
    assert mark in output
    assert "cell options are not supported" in output
    assert ("\x1b[31m" in output) == terminal  # the label is coloured, so colours are on
