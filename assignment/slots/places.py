"""The eight places of a slot, and those of them that the instructor's side can look for itself.

The other four belong to the grader, which this side does not import: autograder/slots/completeness.py looks for them,
and autograder/cli.py hands that check to the release gate.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from assignment.registry import SLOT_ID, Spec

ROOT = Path(__file__).resolve().parents[2]
MISTAKES = "tests/solutions/mistakes.py"
CHECKS = "solutions/checks"
LIBRARY = "autograder/slots/misconceptions/library"


class Place(NamedTuple):
    """One of the eight: what stands there, the file or folder, and what marks it as this slot's."""

    what: str
    where: str
    mark: str


PLACES = (
    Place("registry entry", "assignment/registry/assignment.toml", "`[[slot]]`, and a line in `[limits.reference]`"),
    Place("task and solution", "solutions/", "`# TODO T16 · …`, `# BEGIN SOLUTION T16` in the part of its `file`"),
    Place("public check", f"{CHECKS}/", "T16.py"),
    Place("hidden test", "autograder/slots/hidden_tests/", '`@hidden_test("T16", oracle=…)`'),
    Place("oracle", "autograder/slots/oracles/", "the function that `oracle=` names"),
    Place("driver", "autograder/inside/drive_values.py, drive_models.py, drive_loops.py", '`@driver("T16")`'),
    Place("known mistakes", f"{LIBRARY}/", '`[base.T16]`, `[[mistake]]` with `slot = "T16"`'),
    Place("test mistakes", MISTAKES, '`("T16", …)`'),
)
SEARCHED = ("assignment/registry", "solutions", "autograder/slots", "autograder/inside", "tests/solutions")


def problems(spec: Spec, root: Path = ROOT) -> Iterator[str]:
    """One line, with the file, for each place of a slot that is missing, unfinished, or left over from a slot that is
    gone."""
    mistakes = slots_with_mistakes(root)
    for slot in spec.slots:
        part = root / "solutions" / slot.file
        text = part.read_text(encoding="utf-8") if part.is_file() else ""
        for mark in (f"# TODO {slot.id} · ", f"# BEGIN SOLUTION {slot.id}"):
            if not re.search(rf"^ *{re.escape(mark)}", text, re.MULTILINE):
                yield f"solutions/{slot.file}: slot {slot.id} has no `{mark.strip()}`"
        if not (root / CHECKS / f"{slot.id}.py").is_file():
            yield f"{CHECKS}/{slot.id}.py: slot {slot.id} has no public check"
        if slot.id not in mistakes:
            yield f"{MISTAKES}: slot {slot.id} has no mistake that its public check must catch"
    yield from _left_over({slot.id for slot in spec.slots}, mistakes, root)
    yield from unfinished(root)


def _left_over(known: set[str], mistakes: set[str], root: Path) -> Iterator[str]:
    """A line for each task, check or list of mistakes whose slot is not in the registry."""
    for path in sorted((root / "solutions").glob("*.py")):
        marked = re.findall(rf"^# TODO ({SLOT_ID}) · ", path.read_text(encoding="utf-8"), re.MULTILINE)
        for id_ in (one for one in marked if one not in known):
            yield f"solutions/{path.name}: {id_} is no slot of the registry; remove it, or take its markers out"
    for path in sorted((root / CHECKS).glob("*.py")):
        if re.fullmatch(SLOT_ID, path.stem) and path.stem not in known:
            yield f"{CHECKS}/{path.name}: {path.stem} is no slot of the registry; remove the file"
    for id_ in sorted(mistakes - known):
        yield f"{MISTAKES}: {id_} is no slot of the registry; remove its mistakes"


def slots_with_mistakes(root: Path) -> set[str]:
    """Slots that the list of test mistakes names; an empty set where there is no such list."""
    path = root / MISTAKES
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    listed = {
        entry.elts[0].value
        for node in ast.walk(tree) if isinstance(node, ast.List)
        for entry in node.elts if isinstance(entry, ast.Tuple) and isinstance(entry.elts[0], ast.Constant)
    }  # fmt: skip
    return {one for one in listed if isinstance(one, str)}


def unfinished(root: Path) -> Iterator[str]:
    """A line for each file in which something is still marked TODO(T16), as `rlhf-lab new-slot` leaves it."""
    for folder in SEARCHED:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".py", ".toml"):
                continue
            found = re.findall(rf"TODO\(({SLOT_ID})\)", path.read_text(encoding="utf-8"))
            for id_ in dict.fromkeys(found):
                marks = f"{found.count(id_)} mark{'s' if found.count(id_) > 1 else ''}"
                yield f"{path.relative_to(root).as_posix()}: {marks} TODO({id_}): fill in what each asks"
