"""What the notebook says of points, minutes and the pass mark: written by the build, from the registry.

A mark `<!-- REGISTRY slots -->` in a markdown cell is replaced by one of TEXTS, and each slot's heading gets a line
with its points, minutes and difficulty.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from assignment.registry.tables import HARDEST, SLOT_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from assignment.registry import Spec
    from assignment.registry.tables import SlotSpec
    from assignment.release.source import Cell

MARK = re.compile(r"<!-- REGISTRY ([a-z_]+) -->")
_HEADING = re.compile(rf"^## ({SLOT_ID}) · .+$", re.MULTILINE)
_LIKE_MARK = re.compile(r"(?i)<!-*\s*registry\b")


def slot_table(spec: Spec) -> str:
    """Return a markdown table of the slots, one row each, with their sums below."""
    rows = [
        f"| {one.id} | {one.title} | {one.part} | {_number(one.points)} | {one.minutes} | {_dots(one)} |"
        for one in spec.slots
    ]
    points, minutes = sum(one.points for one in spec.slots), sum(one.minutes for one in spec.slots)
    return "\n".join(
        [
            "| slot | task | part | points | minutes | difficulty |",
            "| --- | --- | --: | --: | --: | --- |",
            *rows,
            f"| all | | | {_number(points)} | {minutes} | |",
        ]
    )


def points_table(spec: Spec) -> str:
    """Return a markdown table of the criteria, with what their points are for."""
    kinds = {"slot": "slots", "training": "training", "written": "written answers", "quality": "code"}
    rows = []
    for one in spec.criteria:
        parts = [(kinds[kind], [i for i in one.items if spec.items[i].kind == kind]) for kind in kinds]
        words = ", ".join(f"{name} {_number(sum(spec.items[i].points for i in ids))}" for name, ids in parts if ids)
        rows.append(f"| {one.title} | {_number(one.points)} | {words} |")
    return "\n".join(["| criterion | points | of which |", "| --- | --: | --- |", *rows])


def pass_rule(spec: Spec) -> str:
    """Return the sentence that says what passes."""
    names = "; ".join(spec.items[name].title for name in spec.success_criteria)
    return (
        f"You pass with at least {_number(spec.pass_mark)} of {_number(spec.max_points)} points and all "
        f"{len(spec.success_criteria)} success criteria met: {names}."
    )


def minutes(spec: Spec) -> str:
    """Return how many minutes all slots take."""
    return str(sum(one.minutes for one in spec.slots))


TEXTS: dict[str, Callable[[Spec], str]] = {
    "slots": slot_table,
    "points": points_table,
    "passing": pass_rule,
    "minutes": minutes,
}


def with_registry(cell: Cell, spec: Spec) -> Cell:
    """Replace the marks of a markdown cell by their texts.

    Raises:
        SourceError: a mark names no text, or something only looks like one.
    """
    for number, line in enumerate(cell.source.split("\n")):
        marks = MARK.findall(line)
        if len(marks) != len(_LIKE_MARK.findall(line)) or any(name not in TEXTS for name in marks):
            known = ", ".join(f"`<!-- REGISTRY {name} -->`" for name in TEXTS)
            raise cell.location.error(number, f"not a text that comes from the registry; there are {known}")
    return replace(cell, source=MARK.sub(lambda match: TEXTS[match[1]](spec), cell.source))


def with_facts(cell: Cell, spec: Spec) -> Cell:
    """Put a line with points, minutes and difficulty under each slot's heading in a markdown cell."""
    return replace(cell, source=_HEADING.sub(lambda match: f"{match[0]}\n{_facts(spec.slot(match[1]))}", cell.source))


def _facts(slot: SlotSpec) -> str:
    points = "1 point" if slot.points == 1 else f"{_number(slot.points)} points"
    return f"*{points} · about {slot.minutes} minutes · difficulty {slot.difficulty} of {HARDEST}*"


def _dots(slot: SlotSpec) -> str:
    return "●" * slot.difficulty + "○" * (HARDEST - slot.difficulty)


def _number(value: float) -> str:
    return f"{value:g}"
