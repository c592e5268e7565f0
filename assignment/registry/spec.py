"""The registry, typed and checked: a frozen view of ``assignment.toml``.

``load_spec()`` is the only reader of that file. Whatever is wrong in it ends in a SpecError with one line per
problem, which names the entry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError

from assignment.registry.agreement import BONUS, problems
from assignment.registry.tables import ItemTable, PartialSpec, Points, RerunSpec, SlotId, SlotSpec, Tables
from assignment.registry.thresholds import Count, Frozen, LimitsSpec, Thresholds
from assignment.registry.wording import sentences

REGISTRY = Path(__file__).with_name("assignment.toml")
BONUS_TITLE = "Bonus, beside the points above"

ItemKind = Literal["slot", "training", "written", "quality"]


class SpecError(ValueError):
    """assignment.toml is not usable. `problems` holds a line for each entry that is wrong, the message all of them."""

    def __init__(self, path: str | Path, lines: list[str]) -> None:
        super().__init__(f"{path}: {lines[0]}" if len(lines) == 1 else f"{path}:\n  " + "\n  ".join(lines))
        self.problems = tuple(lines)


class ItemSpec(Frozen):
    """One row of the rubric. loop, stage_slots: of training items; questions: ids of the written questions that it
    grades; bonus: its points do not count to the rubric's."""

    id: str
    title: str
    criterion: str
    points: Points
    kind: ItemKind
    loop: SlotId | None = None
    stage_slots: tuple[SlotId, ...] = ()
    questions: tuple[str, ...] = ()
    bonus: bool = False


class CriterionSpec(Frozen):
    """A group of rubric items; `items` are item ids in the order of the report. The bonus items are a group too, the
    last one, whose points count to nothing."""

    id: str
    title: str
    points: float
    items: tuple[str, ...] = ()
    bonus: bool = False


class Spec(Frozen):
    """The whole registry. `item_list` holds every rubric row in the order of the report, `items` the same by id."""

    id: str
    title: str
    version: str
    max_points: Points
    pass_mark: Points
    threads: Count
    parallel_stages: Count
    success_criteria: tuple[str, ...]
    profiles: tuple[str, ...]
    partial: PartialSpec
    rerun: RerunSpec
    slots: tuple[SlotSpec, ...]
    criteria: tuple[CriterionSpec, ...]
    item_list: tuple[ItemSpec, ...]
    written: Mapping[str, str]
    limits: LimitsSpec
    threshold_table: Mapping[str, Thresholds]

    @property
    def items(self) -> Mapping[str, ItemSpec]:
        """Every rubric row by id, in the order of the report."""
        return MappingProxyType({item.id: item for item in self.item_list})

    def slot(self, slot_id: str) -> SlotSpec:
        """The slot with this id; KeyError names the known ones."""
        for slot in self.slots:
            if slot.id == slot_id:
                return slot
        raise KeyError(f"unknown slot {slot_id!r}; known: {', '.join(s.id for s in self.slots)}")

    def thresholds(self, profile: str) -> Thresholds:
        """Thresholds of the training tests in this profile; KeyError names the known profiles."""
        if profile not in self.threshold_table:
            raise KeyError(f"no thresholds for profile {profile!r}; known: {', '.join(self.threshold_table)}")
        return self.threshold_table[profile]


def _assemble(tables: Tables) -> Spec:
    """A slot is a rubric item too; criteria list their items, and bonus items are a group of their own."""
    items = [_row(entry) for entry in tables.entries]
    groups = [(one.id, one.title, one.points, False) for one in tables.criterion]
    extra = sum(item.points for item in items if item.bonus)
    groups += [(BONUS, BONUS_TITLE, extra, True)] if extra else []
    criteria = tuple(
        CriterionSpec(
            id=id_, title=title, points=points, bonus=bonus,
            items=tuple(item.id for item in items if item.criterion == id_),
        )
        for id_, title, points, bonus in groups
    )  # fmt: skip
    by_id = {item.id: item for item in items}
    return Spec(
        **tables.assignment.model_dump(),
        partial=tables.partial,
        rerun=tables.rerun,
        slots=tables.slot,
        criteria=criteria,
        item_list=tuple(by_id[id_] for criterion in criteria for id_ in criterion.items),
        written=tables.written,
        limits=tables.limits,
        threshold_table=tables.thresholds,
    )


def _row(entry: SlotSpec | ItemTable) -> ItemSpec:
    kind: ItemKind = "slot" if isinstance(entry, SlotSpec) else entry.kind
    shared = {name: value for name, value in entry if name in ItemSpec.model_fields}
    return ItemSpec(**{**shared, "kind": kind, "criterion": BONUS if entry.bonus else entry.criterion})


def spec_of(text: str, path: str | Path = REGISTRY) -> Spec:
    """The registry of a TOML text; `path` is what an error calls it.

    Raises:
        SpecError: the text is no TOML, an entry is malformed, or the entries do not agree.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise SpecError(path, ["not valid TOML: lists or tables are nested too deeply"]) from None
    except ValueError as error:  # tomllib's own, and Python's for numbers of thousands of digits
        raise SpecError(path, [f"not valid TOML: {' '.join(str(error).split())}"]) from error
    try:
        tables = Tables.model_validate(raw)
    except ValidationError as error:
        raise SpecError(path, sentences(error, raw)) from error
    if found := problems(tables):
        raise SpecError(path, found)
    return _assemble(tables)


def load_spec(path: Path | None = None) -> Spec:
    """Read and check the registry: once, at an entry point, which hands it on.

    Raises:
        SpecError: the file cannot be read, or what it says is wrong (see `spec_of`).
    """
    path = path or REGISTRY
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(path, [f"cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise SpecError(path, ["cannot be read: it is not UTF-8 text"]) from error
    return spec_of(text, path)
