"""The tables of assignment.toml as they are written there, each field with its form and its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from assignment.registry.thresholds import RUN_ID, Count, Frozen, LimitsSpec, Share, Thresholds

SLOT_ID = r"[A-VX-Z]\d\d"  # T07, C01, E03, B02; W is for written questions
WRITTEN_ID = r"W\d{1,2}"
# What a text has to look like, in words, by its pattern.
FORMS = {
    rf"^{SLOT_ID}$": "a capital letter other than W and two digits, such as T07",
    rf"^{WRITTEN_ID}$": "W and a number, such as W1",
    r"^[a-z][a-z0-9_]*$": "lower-case letters, digits and underscores, such as rm_accuracy",
    r"^[A-Za-z_]\w*$": "a Python name, such as bradley_terry_loss",
    r"^[a-z]\d_\w+\.py$": "the name of a part under solutions/, such as p4_reward_model.py",
    r"^\d+\.\d+\.\d+$": "three numbers with dots between, such as 1.0.0",
    RUN_ID: "the id of a slot or of a training item",
    r"^\S(?:.*\S)?$": "one line of text without spaces around it",
}
_SLOT, _WRITTEN, _ID, _NAME, _FILE, _VERSION, _, _LINE = FORMS

SlotId = Annotated[str, Field(pattern=_SLOT)]
WrittenId = Annotated[str, Field(pattern=_WRITTEN)]
Id = Annotated[str, Field(pattern=_ID, max_length=40)]
Title = Annotated[str, Field(min_length=5, max_length=80, pattern=_LINE)]
Points = Annotated[float, Field(gt=0, le=1000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]

# The checks of code quality that the grader has (autograder/quality/checks.py).
QUALITY_ITEMS = ("quality_imports", "quality_lint", "quality_docs", "quality_leftovers")


class AssignmentTable(Frozen):
    """[assignment]: what holds for the whole."""

    id: Annotated[str, Field(min_length=1, max_length=80, pattern=_LINE)]
    title: Title
    version: Annotated[str, Field(pattern=_VERSION)]
    max_points: Points
    pass_mark: Points
    threads: Annotated[int, Field(ge=1, le=256, strict=True)]
    parallel_stages: Annotated[int, Field(ge=1, le=256, strict=True)]
    success_criteria: tuple[Id, ...]
    profiles: Annotated[tuple[Id, ...], Field(min_length=1)]


class PartialSpec(Frozen):
    """What is earned in part. gradient: share of a slot's points with right values and a wrong gradient.
    field_kinds: the kinds of fields of the comparison, of which each wrong one costs an equal share."""

    gradient: Share
    field_kinds: Count


class RerunSpec(Frozen):
    """How many fresh seeds decide a near miss; even, so that with the first run there is a majority."""

    seeds: Annotated[int, Field(gt=0, le=100, multiple_of=2, strict=True)]


class CriterionTable(Frozen):
    """[[criterion]]: a group of rubric items."""

    id: Id
    title: Title
    points: Points


class SlotSpec(Frozen):
    """[[slot]]: one gap a student fills.

    name: the function or class that its cell defines. calls: the slots that it may build on; only their reference
    ever stands in while it is tested. later: those of `calls` that come later in the notebook, where a student may
    come back to use them. bonus: its points do not count to the rubric's; it then belongs to no criterion.
    """

    id: SlotId
    name: Annotated[str, Field(pattern=_NAME)]
    part: Annotated[int, Field(ge=1, le=9, strict=True)]
    title: Title
    file: Annotated[str, Field(pattern=_FILE)]
    criterion: Id | None = None
    points: Points
    calls: tuple[SlotId, ...] = ()
    later: tuple[SlotId, ...] = ()
    bonus: Flag = False


class ItemTable(Frozen):
    """[[item]]: a rubric item that is no slot.

    loop, stage_slots: of training items. questions: ids of [written], of written items. bonus: as for slots.
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


class Tables(Frozen):
    """The whole file. The fields are its tables."""

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
        """All that becomes a row of the rubric: slots, then the other items."""
        return (*self.slot, *self.item)
