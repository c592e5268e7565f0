"""Find and parse the project's Python files, for tests that read the source."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("assignment", "autograder", "solutions", "student_template", "tests", "benchmarks")
GENERATED = ROOT / "student_template" / "tests"  # copies of solutions/checks


def python_files(*rooms: str) -> list[Path]:
    """List the .py files of these rooms (by default of all), without generated ones."""
    files = [path for room in rooms or ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in files if GENERATED not in path.parents and "__pycache__" not in path.parts]


def name_of(path: Path) -> str:
    """Return the path as messages show it, relative to the repository."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    """Parse the file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def existing(*names: str) -> tuple[str, ...]:
    """Return these paths of the repository. FileNotFoundError if one does not exist: a test on files that have moved
    would silently test nothing."""
    for name in names:
        if not (ROOT / name).exists():
            raise FileNotFoundError(f"{name} is listed in a test and does not exist: correct its path there")
    return names


def module_of(name: str) -> str:
    """Return the name of a module whose file exists: a/b.py -> "a.b"."""
    return existing(name)[0].removesuffix(".py").replace("/", ".")
