"""Load the registry: a frozen, typed and checked view of ``assignment.toml``.

``load_spec()`` is the only reader of that file. Mistakes in it raise a SpecError with one line per problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from assignment.registry.consistency import BONUS, problems
from assignment.registry.reading import SpecError, parse_toml, read_text
from assignment.registry.tables import ItemTable, PartialSpec, Points, RerunSpec, SlotId, SlotSpec, Tables
from assignment.registry.thresholds import Count, FrozenModel, LimitsSpec, Thresholds

REGISTRY = Path(__file__).with_name("assignment.toml")
BONUS_TITLE = "Bonus, beside the points above"

ItemKind = Literal["slot", "training", "written", "quality"]


class ItemSpec(FrozenModel):
    """One row of the rubric.

    loop, stage_slots: of a training item, the slot under test and all slots of its stage. questions: of a written item,
    the ids of its questions. bonus: its points are added to the rubric's.
    """

    id: str
    title: str
    criterion: str
    points: Points
    kind: ItemKind
    loop: SlotId | None = None
    stage_slots: tuple[SlotId, ...] = ()
    questions: tuple[str, ...] = ()
    bonus: bool = False


class CriterionSpec(FrozenModel):
    """A group of rubric items; `items` are item ids in the order of the report.

    The bonus items form one more group, the last. Its points do not count towards max_points.
    """

    id: str
    title: str
    points: float
    items: tuple[str, ...] = ()
    bonus: bool = False


class Spec(FrozenModel):
    """The whole registry. `item_list` holds every row of the rubric in the order of the report."""

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
        """Return every row of the rubric by id, in the order of the report."""
        return MappingProxyType({item.id: item for item in self.item_list})

    def slot(self, slot_id: str) -> SlotSpec:
        """Return the slot of this id. KeyError, with the known ids, if there is none."""
        for slot in self.slots:
            if slot.id == slot_id:
                return slot
        raise KeyError(f"unknown slot {slot_id!r}; known: {', '.join(s.id for s in self.slots)}")

    @property
    def slot_names(self) -> list[dict[str, str]]:
        """Return id and name of each slot, as the modules that find answers take them."""
        return [{"id": slot.id, "name": slot.name} for slot in self.slots]

    def thresholds(self, profile: str) -> Thresholds:
        """Return this profile's thresholds. KeyError, with the known profiles, if there is none."""
        if profile not in self.threshold_table:
            raise KeyError(f"no thresholds for profile {profile!r}; known: {', '.join(self.threshold_table)}")
        return self.threshold_table[profile]


def _spec_from(tables: Tables) -> Spec:
    """Make slots rows of the rubric, list the items of each criterion, and collect bonus items in one more group."""
    items = [_item(entry) for entry in tables.entries]
    groups = [(one.id, one.title, one.points, False) for one in tables.criterion]
    bonus_points = sum(item.points for item in items if item.bonus)
    groups += [(BONUS, BONUS_TITLE, bonus_points, True)] if bonus_points else []
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


def _item(entry: SlotSpec | ItemTable) -> ItemSpec:
    """Make the row of the rubric for an entry of the file."""
    kind: ItemKind = "slot" if isinstance(entry, SlotSpec) else entry.kind
    shared = {name: value for name, value in entry if name in ItemSpec.model_fields}
    return ItemSpec(**{**shared, "kind": kind, "criterion": BONUS if entry.bonus else entry.criterion})


def parse_spec(text: str, path: str | Path = REGISTRY) -> Spec:
    """Read and check the registry in a TOML text. path: the name that error messages give it.

    Raises:
        SpecError: the text is not TOML, an entry is malformed, or the entries do not fit together.
    """
    tables = parse_toml(Tables, text, path)
    if found := problems(tables):
        raise SpecError(path, found)
    return _spec_from(tables)


def load_spec(path: Path | None = None) -> Spec:
    """Read and check the registry file. Entry points do this once and hand the result on.

    Raises:
        SpecError: the file cannot be read, or it is wrong (see `parse_spec`).
    """
    path = path or REGISTRY
    return parse_spec(read_text(path), path)
