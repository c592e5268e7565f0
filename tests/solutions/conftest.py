"""The reference slots by name, and the same with one slot's source edited."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from assignment.registry import SLOT_ID

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"
FILES = {
    slot: file
    for file in sorted(SOLUTIONS.glob("p*.py"))
    for slot in re.findall(rf"^# TODO ({SLOT_ID}) ·", file.read_text(encoding="utf-8"), re.MULTILINE)
}
BODY = re.compile(rf"( +)# BEGIN SOLUTION ({SLOT_ID})\n.*?# END SOLUTION\n", re.DOTALL)


def reference_names() -> dict[str, Any]:
    """Return every name that the parts define, as a notebook that was run defines them."""
    names: dict[str, Any] = {}
    for file in dict.fromkeys(FILES.values()):
        names |= vars(importlib.import_module(f"solutions.{file.stem}"))
    return names


def cell_of(slot: str) -> str:
    """Return the slot's cell from its part."""
    text = FILES[slot].read_text(encoding="utf-8")
    return next(c for c in text.split("\n# %%\n") if c.lstrip().startswith(f"# TODO {slot} ·")) + "\n"


def names_with(names: Mapping[str, Any], slot: str, cell: str) -> dict[str, Any]:
    """Return these names, with those that another cell for the slot defines."""
    changed = dict(names)
    exec(compile("from __future__ import annotations\n" + cell, f"<{slot}>", "exec"), changed)
    return changed


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """Return every name that the parts define."""
    return reference_names()


@pytest.fixture(scope="session")
def with_slot(reference: dict[str, Any]) -> Callable[[str, Callable[[str], str]], dict[str, Any]]:
    """Return a function: with_slot("T07", edit) gives the reference names after running T07's edited cell."""
    return lambda slot, edit: names_with(reference, slot, edit(cell_of(slot)))


def blank(cell: str) -> str:
    """Return the cell as a student receives it."""
    return BODY.sub(r'\1raise NotImplementedError("\2: to do")\n', cell)
