"""Describe the tables of assignment.toml as pydantic models, with the pattern or bounds of each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from assignment.registry.thresholds import COST_ID, Count, FrozenModel, LimitsSpec, Share, Thresholds

SLOT_ID = r"[A-VX-Z]\d\d"  # T07, C01, E03, B02; W is for written questions
WRITTEN_ID = r"W\d{1,2}"
HARDEST = 3  # of the difficulty of a slot
CLAIM_ID = r"[a-z][a-z0-9_]*"
_SLOT_ID = rf"^{SLOT_ID}$"
_WRITTEN_ID = rf"^{WRITTEN_ID}$"
_ID = rf"^{CLAIM_ID}$"
_NAME = r"^[A-Za-z_]\w*$"
_FILE = r"^[a-z]\d_\w+\.py$"
_VERSION = r"^\d+\.\d+\.\d+$"
_LINE = r"^\S(?:.*\S)?$"
# What an error message says of a text that does not match the pattern.
PATTERN_NAMES = {
    _SLOT_ID: "a capital letter other than W and two digits, such as T07",
    _WRITTEN_ID: "W and a number, such as W1",
    _ID: "lower-case letters, digits and underscores, such as rm_accuracy",
    _NAME: "a Python name, such as bradley_terry_loss",
    _FILE: "the name of a part under solutions/, such as p4_reward_model.py",
    _VERSION: "three numbers with dots between, such as 1.0.0",
    COST_ID: "the id of a slot or of a training item",
    _LINE: "one line of text without spaces around it",
}

SlotId = Annotated[str, Field(pattern=_SLOT_ID)]
PartFile = Annotated[str, Field(pattern=_FILE)]
WrittenId = Annotated[str, Field(pattern=_WRITTEN_ID)]
Id = Annotated[str, Field(pattern=_ID, max_length=40)]
Title = Annotated[str, Field(min_length=5, max_length=80, pattern=_LINE)]
Points = Annotated[float, Field(gt=0, le=1000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]

# The quality items that autograder/quality/checks.py can check.
QUALITY_ITEMS = ("quality_imports", "quality_lint", "quality_docs", "quality_leftovers")


class AssignmentTable(FrozenModel):
    """[assignment]: the title, the points and the settings of the whole assignment."""

    id: Annotated[str, Field(min_length=1, max_length=80, pattern=_LINE)]
    title: Title
    version: Annotated[str, Field(pattern=_VERSION)]
    max_points: Points
    pass_mark: Points
    threads: Annotated[int, Field(ge=1, le=256, strict=True)]
    parallel_stages: Annotated[int, Field(ge=1, le=256, strict=True)]
    success_criteria: tuple[Id, ...]
    profiles: Annotated[tuple[Id, ...], Field(min_length=1)]


class PartialSpec(FrozenModel):
    """[partial]: how partial credit is computed.

    gradient: share of a slot's points for right values with a wrong gradient. field_kinds: number of kinds of fields
    in T15's rows; each wrong kind costs an equal share of the item's points.
    """

    gradient: Share
    field_kinds: Count


class RerunSpec(FrozenModel):
    """[rerun]: a result close to its threshold is decided by the first run and by this even number of fresh seeds."""

    seeds: Annotated[int, Field(gt=0, le=100, multiple_of=2, strict=True)]


class CriterionTable(FrozenModel):
    """[[criterion]]: a group of rubric items, with its points."""

    id: Id
    title: Title
    points: Points


class SlotSpec(FrozenModel):
    """[[slot]]: a function or class that the student writes.

    name: of the function or class. calls: slots that it may use; while it is tested, the reference replaces those of
    them that failed, and no others. later: those of `calls` that come later in the notebook, for a student who comes
    back to use them. bonus: its points are added to the rubric's, and it belongs to no criterion. minutes: what a
    student who knows PyTorch needs, estimated. difficulty: from 1 to HARDEST.
    """

    id: SlotId
    name: Annotated[str, Field(pattern=_NAME)]
    part: Annotated[int, Field(ge=1, le=9, strict=True)]
    title: Title
    file: PartFile
    criterion: Id | None = None
    points: Points
    minutes: Count
    difficulty: Annotated[int, Field(ge=1, le=HARDEST, strict=True)]
    calls: tuple[SlotId, ...] = ()
    later: tuple[SlotId, ...] = ()
    bonus: Flag = False


class ItemTable(FrozenModel):
    """[[item]]: a rubric item that is not a slot.

    loop, stage_slots: for training items, the slot under test and all slots of the stage. questions: for written
    items, ids of [written]. bonus: as for slots.
    """

    id: Id
    kind: Literal["training", "written", "quality"]
    title: Title
    criterion: Id | None = None
    points: Points
    loop: SlotId | None = None
    stage_slots: tuple[SlotId, ...] = ()
    questions: tuple[WrittenId, ...] = ()
    bonus: Flag = False


class Tables(FrozenModel):
    """The whole file; the fields are its tables."""

    assignment: AssignmentTable
    partial: PartialSpec
    rerun: RerunSpec
    criterion: Annotated[tuple[CriterionTable, ...], Field(min_length=1)]
    slot: Annotated[tuple[SlotSpec, ...], Field(min_length=1)]
    item: tuple[ItemTable, ...] = ()
    written: Mapping[WrittenId, Annotated[str, Field(min_length=5, max_length=300, pattern=_LINE)]] = {}
    thresholds: Mapping[Id, Thresholds]
    limits: LimitsSpec

    @property
    def entries(self) -> tuple[SlotSpec | ItemTable, ...]:
        """Return everything that becomes a row of the rubric: slots, then the other items."""
        return (*self.slot, *self.item)
