"""A copy of what a slot's places are in, to be edited: sources without weights and data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.sources import ROOT

FOLDERS = ("assignment", "autograder", "solutions", "student_template", "tests/solutions")
HEAVY = ("__pycache__", "*.safetensors", "*.gz", "*.ipynb", "*.csv", "*.jsonl")


def copy_of_the_repository(target: Path) -> Path:
    """These folders under `target`, which is given back."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns(*HEAVY))
    return target


def python(root: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that imports from the copy."""
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'student_template'}"}
    return subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True)


def command(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `rlhf-lab` as it is in the copy."""
    return python(root, f"import sys; sys.argv[1:] = {list(arguments)!r}; from autograder.cli import main; main()")


def change_file(root: Path, name: str, old: str, new: str) -> None:
    """Replace a piece of text, which has to be there once, in a file of the copy."""
    text = (root / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
    (root / name).write_text(text.replace(old, new), encoding="utf-8")
