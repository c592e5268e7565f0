"""List the eight places of a slot, and find those on the instructor's side that are missing or left over.

Four places belong to the grader, which this side does not import: autograder/slots/completeness.py looks for them, and
autograder/cli.py passes that check to the release gate.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from assignment.registry import SLOT_ID, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MISTAKES = "tests/solutions/mistakes.py"
CHECKS = "solutions/checks"
LIBRARY = "autograder/slots/misconceptions/library"


class Place(NamedTuple):
    """One of the eight places: what it holds, its file or folder, and the text by which a slot is found there."""

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
FOLDERS_WITH_TODOS = ("assignment/registry", "solutions", "autograder/slots", "autograder/inside", "tests/solutions")


def problems(spec: Spec, root: Path = ROOT) -> Iterator[str]:
    """Yield a line with the file for each place that is missing, unfinished, or left over from a removed slot."""
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
    """Yield a line for each task, check or list of mistakes whose slot is not in the registry."""
    for path in sorted((root / "solutions").glob("*.py")):
        marked = re.findall(rf"^# TODO ({SLOT_ID}) · ", path.read_text(encoding="utf-8"), re.MULTILINE)
        for id_ in (one for one in marked if one not in known):
            yield f"solutions/{path.name}: {id_} is not in the registry; remove the cell, or its markers"
    for path in sorted((root / CHECKS).glob("*.py")):
        if re.fullmatch(SLOT_ID, path.stem) and path.stem not in known:
            yield f"{CHECKS}/{path.name}: {path.stem} is not in the registry; remove the file"
    for id_ in sorted(mistakes - known):
        yield f"{MISTAKES}: {id_} is not in the registry; remove its mistakes"


def slots_with_mistakes(root: Path) -> set[str]:
    """Return the slots in the list of test mistakes, or an empty set if there is no such list."""
    path = root / MISTAKES
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    listed = {
        entry.elts[0].value
        for node in ast.walk(tree) if isinstance(node, ast.List)
        for entry in node.elts if isinstance(entry, ast.Tuple) and isinstance(entry.elts[0], ast.Constant)
    }  # fmt: skip
    return {one for one in listed if isinstance(one, str)}


def unfinished(root: Path) -> Iterator[str]:
    """Yield a line for each file with a mark such as TODO(T16), as `rlhf-lab new-slot` writes it."""
    for folder in FOLDERS_WITH_TODOS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".py", ".toml"):
                continue
            found = re.findall(rf"TODO\(({SLOT_ID})\)", path.read_text(encoding="utf-8"))
            for id_ in dict.fromkeys(found):
                marks = f"{found.count(id_)} mark{'s' if found.count(id_) > 1 else ''}"
                yield f"{path.relative_to(root).as_posix()}: {marks} TODO({id_}): fill in what each asks"
