"""Copy the folders that hold a slot's places, without weights and data, for tests that edit them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.course import edit_file
from tests.support.processes import environment
from tests.support.sources import ROOT

FOLDERS = ("assignment", "autograder", "solutions", "student_template", "tests/solutions")
LARGE = ("__pycache__", "*.safetensors", "*.gz", "*.ipynb", "*.csv", "*.jsonl")


def copy_of_the_repository(target: Path) -> Path:
    """Copy the folders to `target`, and return it."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns(*LARGE))
    return target


def python(root: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that imports from the copy."""
    return subprocess.run([sys.executable, "-c", code], cwd=root, env=environment(root), capture_output=True, text=True)


def command(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command `rlhf-lab` of the copy."""
    return python(root, f"import sys; sys.argv[1:] = {list(arguments)!r}; from autograder.cli import main; main()")


def change_file(root: Path, name: str, old: str, new: str) -> None:
    """Replace a text in a file of the copy. AssertionError if it does not stand there exactly once."""
    count = (root / name).read_text(encoding="utf-8").count(old)
    assert count == 1, f"{old!r} stands {count} times in {name}"
    edit_file(root / name, old, new)
