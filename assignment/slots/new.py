"""Make the skeletons of a new slot's eight places, for `rlhf-lab new-slot`. No file is replaced."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assignment.files import write_atomically
from assignment.registry import SLOT_ID, Spec, parse_spec
from assignment.slots import skeletons
from assignment.slots.places import CHECKS, LIBRARY, MISTAKES, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REGISTRY = "assignment/registry/assignment.toml"
DRIVERS = "autograder/inside/drive_values.py"


class NewSlotError(ValueError):
    """The slot cannot be added; the message says why in one sentence."""


@dataclass(frozen=True)
class Skeletons:
    """The files of a new slot, by path relative to the root. extended: existing files, with what is added to them."""

    new: Mapping[str, str]
    extended: Mapping[str, str]

    def write(self, root: Path) -> None:
        """Write all files. NewSlotError if a new file exists already, OSError if a file cannot be written."""
        there = [name for name in self.new if (root / name).exists()]
        if there:
            raise NewSlotError(f"{', '.join(there)} is there already: move it away, or choose another id")
        for name, text in {**self.new, **self.extended}.items():
            write_atomically(root / name, text)


def new_slot(slot: str, part: int, root: Path = ROOT) -> Skeletons:
    """Make the skeletons of all eight places, without writing them.

    Raises:
        NewSlotError: the id is malformed or taken, there is no such part, or a file has an unexpected form.
        SpecError: the registry is wrong.
    """
    if not re.fullmatch(SLOT_ID, slot):
        raise NewSlotError(f"{slot} is not a slot id: a capital letter other than W and two digits, such as T16")
    registry = (root / REGISTRY).read_text(encoding="utf-8")
    spec = parse_spec(registry, REGISTRY)
    if slot in spec.items:
        there = spec.slot(slot).part
        raise NewSlotError(f"{slot} exists already, in part {there}; the next free id is {_free(slot, spec)}")
    words = {
        "id": slot, "part": part, "file": _file_of(part, root), "name": f"slot_{slot.lower()}", "cls": f"Slot{slot}",
        "module": f"slot_{slot.lower()}", "title": skeletons.TITLE.format(id=slot),
    }  # fmt: skip
    module = words["module"]
    new = {
        f"{CHECKS}/{slot}.py": skeletons.CHECK,
        f"autograder/slots/hidden_tests/{module}.py": skeletons.HIDDEN_TEST,
        f"autograder/slots/oracles/{module}.py": skeletons.ORACLE,
        f"{LIBRARY}/{module}.toml": skeletons.LIBRARY,
    }
    extended = {
        REGISTRY: _in_registry(registry, spec, part, words),
        f"solutions/{words['file']}": _in_part(root / "solutions" / str(words["file"]), words),
        DRIVERS: (root / DRIVERS).read_text(encoding="utf-8").rstrip("\n") + "\n" + skeletons.DRIVER.format(**words),
        MISTAKES: _in_mistakes(root / MISTAKES, words),
    }
    return Skeletons({name: text.format(**words) for name, text in new.items()}, extended)


def _free(slot: str, spec: Spec) -> str:
    """Return the next id after the last one with the same letter."""
    last = max(int(one.id[1:]) for one in spec.slots if one.id[0] == slot[0])
    return f"{slot[0]}{last + 1:02d}"


def _file_of(part: int, root: Path) -> str:
    """Return the name of a part's file under solutions/."""
    found = sorted(path.name for path in (root / "solutions").glob(f"[a-z]{part}_*.py"))
    if len(found) != 1:
        parts = sorted({path.name[1] for path in (root / "solutions").glob("[a-z][0-9]_*.py")})
        raise NewSlotError(f"there is no part {part} under solutions/; there are parts {', '.join(parts)}")
    return found[0]


def _in_registry(text: str, spec: Spec, part: int, words: Mapping[str, object]) -> str:
    """Add the slot's entry before the first slot of a later part, or at the end, and its cost after the last slot's."""
    slots = list(re.finditer(r"^\[\[slot\]\]\n(?:[^\n]+\n)*\n", text, re.MULTILINE))
    costs = list(re.finditer(rf"^{SLOT_ID} = \{{[^\n]*\n", text, re.MULTILINE))
    if len(slots) != len(spec.slots) or not costs:
        raise NewSlotError(f"{REGISTRY} needs a blank line after each [[slot]] and one line for each cost of a slot")
    number = next((n for n, slot in enumerate(spec.slots) if slot.part > part), len(slots))
    at = slots[number].start() if number < len(slots) else slots[-1].end()
    cost = costs[-1].end()
    changed = (
        text[:at] + skeletons.REGISTRY.format(**words) + text[at:cost] + skeletons.COST.format(**words) + text[cost:]
    )
    parse_spec(changed, REGISTRY)  # raises an error before anything is written
    return changed


def _in_part(path: Path, words: Mapping[str, object]) -> str:
    """Add the slot's cells after the last slot of the part, or at its end."""
    text = path.read_text(encoding="utf-8")
    last = text.rfind("# END SOLUTION")
    following = text.find("\n# %%", last) if last >= 0 else -1
    at = following if following >= 0 else len(text.rstrip("\n"))
    return text[:at].rstrip("\n") + "\n\n" + skeletons.PART.format(**words) + "\n" + text[at:]


def _in_mistakes(path: Path, words: Mapping[str, object]) -> str:
    """Add a line at the end of the list MISTAKES."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MISTAKES" and node.value is not None:
            lines = text.splitlines(keepends=True)
            end = (node.value.end_lineno or 1) - 1  # the line with the closing bracket
            return "".join([*lines[:end], skeletons.MISTAKE.format(**words), *lines[end:]])
    raise NewSlotError(f"{MISTAKES} has no list called MISTAKES")
