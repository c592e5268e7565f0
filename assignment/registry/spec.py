"""The registry, typed and checked: a frozen view of ``assignment.toml``.

``load_spec()`` is the only reader of that file. What is wrong in it (a sum that does not
agree, an unknown id, a slot twice) ends in a SpecError that names the entry.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from assignment.registry.thresholds import Count, Frozen, LimitsSpec, Share, Thresholds

REGISTRY = Path(__file__).with_name("assignment.toml")
SLOT_COUNT = 15  # fixed by the handout's contract; points and order may change, their number may not

ItemKind = Literal["slot", "training", "written", "quality"]
SlotId = Annotated[str, Field(pattern=r"^T\d\d$")]
Points = Annotated[float, Field(gt=0)]


class SpecError(ValueError):
    """assignment.toml is not usable; the message says which entry and why."""


class SlotSpec(Frozen):
    """One gap a student fills. `name` is the function (or class) that its cell defines; `calls` are the slots
    that it may build on: only their reference ever stands in while it is tested."""

    id: SlotId
    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    part: Annotated[int, Field(ge=1, le=9)]
    title: Annotated[str, Field(min_length=5, max_length=80)]
    file: Annotated[str, Field(pattern=r"^p\d_\w+\.py$")]
    criterion: str
    points: Points
    calls: tuple[SlotId, ...] = ()


class ItemSpec(Frozen):
    """One row of the rubric. `loop` and `stage_slots` are set for training items only."""

    id: str
    title: str
    criterion: str
    points: Points
    kind: ItemKind
    loop: SlotId | None = None
    stage_slots: tuple[SlotId, ...] = ()


class CriterionSpec(Frozen):
    """A group of rubric items; `items` are item ids in the order of the report."""

    id: str
    title: str
    points: Points
    items: tuple[str, ...] = ()


class PartialSpec(Frozen):
    """What is earned in part. gradient: share of a slot's points with right values and a wrong gradient.
    field_kinds: the kinds of fields of the comparison, of which each wrong one costs an equal share."""

    gradient: Share
    field_kinds: Annotated[int, Field(gt=0)]


class RerunSpec(Frozen):
    """How many fresh seeds decide a near miss; even, so that with the first run there is a majority."""

    seeds: Annotated[int, Field(gt=0, multiple_of=2)]


class Spec(Frozen):
    """The whole registry. `items` holds every rubric row by id, in the order of the report."""

    id: str
    title: str
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    max_points: Points
    pass_mark: Points
    threads: Count
    lanes: Count
    success_criteria: tuple[str, ...]
    profiles: Annotated[tuple[str, ...], Field(min_length=1)]
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
        """Bars of the training tests in this profile; KeyError names the known profiles."""
        if profile not in self.threshold_table:
            raise KeyError(f"no thresholds for profile {profile!r}; known: {', '.join(self.threshold_table)}")
        return self.threshold_table[profile]

    @model_validator(mode="after")
    def _agrees(self) -> Spec:
        problems = [*_slot_problems(self), *_item_problems(self), *_sum_problems(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _slot_problems(spec: Spec) -> Iterable[str]:
    expected = [f"T{i:02d}" for i in range(1, SLOT_COUNT + 1)]
    if [slot.id for slot in spec.slots] != expected:
        yield f"the slots must be {expected[0]}..{expected[-1]}, each once, in order"
    for name, count in Counter(slot.name for slot in spec.slots).items():
        if count > 1:
            yield f"two slots are called {name}"
    for slot in spec.slots:
        for other in sorted({*slot.calls} - set(expected)):
            yield f"{slot.id} calls an unknown slot {other}"
    if sorted(spec.threshold_table) != sorted(spec.profiles):
        yield f"thresholds are given for {sorted(spec.threshold_table)}, profiles are {sorted(spec.profiles)}"
    if any(not key.startswith("W") for key in spec.written):
        yield "ids of written questions start with W"


def _item_problems(spec: Spec) -> Iterable[str]:
    slot_ids, criterion_ids = {s.id for s in spec.slots}, {c.id for c in spec.criteria}
    for item_id, count in Counter(item.id for item in spec.item_list).items():
        if count > 1:
            yield f"item {item_id} occurs {count} times"
    for item in spec.item_list:
        if item.criterion not in criterion_ids:
            yield f"{item.id} belongs to an unknown criterion {item.criterion!r}"
        for slot_id in sorted({*item.stage_slots, item.loop or ""} - slot_ids - {""}):
            yield f"{item.id} names an unknown slot {slot_id}"
        if item.kind == "training" and item.loop not in item.stage_slots:
            yield f"{item.id}: loop {item.loop} is not among its stage_slots"
        if item.kind == "training" and item.id not in Thresholds.model_fields:
            yield f"training item {item.id} has no thresholds"
    training = {item.id for item in spec.item_list if item.kind == "training"}
    run = {item.id for item in spec.item_list if item.kind in ("slot", "training")}
    if set(spec.limits.reference) != run:
        odd = sorted(set(spec.limits.reference) ^ run)
        yield f"[limits.reference] must hold each slot and training item, and nothing else: {', '.join(odd)}"
    for item_id in sorted({*spec.success_criteria} - training):
        yield f"success criterion {item_id} is not a training item"


def _sum_problems(spec: Spec) -> Iterable[str]:
    for criterion in spec.criteria:
        total = sum(item.points for item in spec.item_list if item.criterion == criterion.id)
        if abs(total - criterion.points) > 1e-9:
            yield f"criterion {criterion.id} has {criterion.points:g} points, its items sum to {total:g}"
    total = sum(criterion.points for criterion in spec.criteria)
    if abs(total - spec.max_points) > 1e-9:
        yield f"max_points is {spec.max_points:g}, the criteria sum to {total:g}"
    if spec.pass_mark > spec.max_points:
        yield f"pass_mark {spec.pass_mark:g} is above max_points {spec.max_points:g}"


def _assemble(raw: dict) -> dict:
    """The flat TOML tables in the nested form of Spec: a slot is an item too, criteria list their items."""
    slots, others = raw.pop("slot", []), raw.pop("item", [])
    slot_items = [
        {**{k: slot.get(k) for k in ("id", "title", "criterion", "points")}, "kind": "slot"} for slot in slots
    ]
    criteria, ordered = [], []
    for criterion in raw.pop("criterion", []):
        mine = [item for item in [*slot_items, *others] if item.get("criterion") == criterion.get("id")]
        criteria.append({**criterion, "items": [item.get("id") for item in mine]})
        ordered += mine
    ordered += [item for item in [*slot_items, *others] if item not in ordered]  # unknown criterion: reported
    head, thresholds = raw.pop("assignment", {}), raw.pop("thresholds", {})
    return {
        **head,
        **raw,
        "slots": slots,
        "criteria": criteria,
        "item_list": ordered,
        "threshold_table": thresholds,
    }


@lru_cache(maxsize=8)
def load_spec(path: Path | None = None) -> Spec:
    """Read and check the registry (cached per path).

    Raises:
        SpecError: the file is missing, is no TOML, or its entries do not agree.
    """
    path = path or REGISTRY
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return Spec.model_validate(_assemble(raw))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'registry'}: {e['msg']}" for e in error.errors()]
        raise SpecError(f"{path}:\n  " + "\n  ".join(lines)) from error
