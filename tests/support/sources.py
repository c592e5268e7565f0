"""Our own Python files, for the tests that read the source."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("assignment", "autograder", "solutions", "student_template", "tests", "benchmarks")
GENERATED = ROOT / "student_template" / "tests"  # copies of solutions/checks


def python_files(*rooms: str) -> list[Path]:
    """Every .py file of these rooms (all of them by default), generated ones left out."""
    files = [path for room in rooms or ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in files if GENERATED not in path.parents and "__pycache__" not in path.parts]


def name_of(path: Path) -> str:
    """The path as a message shows it."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def existing(*names: str) -> tuple[str, ...]:
    """These paths of the repository, each of which has to be there: a list of files that have moved would protect, or
    attack, nothing without a word. Raises FileNotFoundError."""
    for name in names:
        if not (ROOT / name).exists():
            raise FileNotFoundError(f"{name} is listed in a test and does not exist: give its new place there")
    return names


def module_of(name: str) -> str:
    """A/b.py -> "A.b", for a file that exists."""
    return existing(name)[0].removesuffix(".py").replace("/", ".")
