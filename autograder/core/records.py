"""Frozen records that travel between the steps of a grading run.

intake -> Submission, extract -> Answers, judge and training -> ItemResult,
rubric -> Graded, report writes it all. Every record is plain data (JSON types,
tuples, dicts), so that any step can be re-run and audited from disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from assignment.registry import Spec

Status = Literal[
    "passed", "partial", "wrong", "not_attempted", "crashed", "timeout",
    "out_of_memory", "needs_review", "not_gradable",
]

UNDEFINED = "undefined"  # evidence of a slot whose code failed while it was defined


@dataclass(frozen=True)
class Cell:
    """One notebook cell: its position, its kind ("code", "markdown", "raw"), its source text and,
    for the TA's eyes only, what it had saved as machine-readable results (claims, not evidence)."""

    index: int
    kind: str
    source: str
    results: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Submission:
    """A notebook as received. `name` is the file's name for display, never an identity."""

    name: str
    sha256: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What was found for one slot.

    state: "present" (attempted code), "blank" (the template's own placeholder), "missing"
    (no cell and no such name), "broken" (source does not parse). `problem` tells the student what is
    wrong and, in its last sentence, what to do, when state is "missing" or "broken"; else it is empty.
    """

    slot: str
    state: Literal["present", "blank", "missing", "broken"]
    source: str = ""
    cell: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Answers:
    """The answer to each slot, and what they need: the prelude (imports, helper functions, constants)."""

    prelude: str
    slots: Mapping[str, Answer]
    written: Mapping[str, str] = field(default_factory=dict)
    results: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ItemResult:
    """The verdict on one rubric item.

    share: part of the item's points earned, in [0, 1]. message: template text a student may read.
    misconception: the known mistake that reproduces the answer, a dict with `id`, `name`, `sentence`
    (or None). evidence: JSON data for the TA (residuals, curves, tracebacks, generations);
    replaced: the slots that were replaced by the reference when this item was run.
    criterion: the success criterion that this item decides, if it is one.
    """

    id: str
    status: Status
    share: float
    message: str
    misconception: Mapping[str, str] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()
    criterion: SuccessCriterion | None = None


@dataclass(frozen=True)
class GradedItem:
    """An ItemResult with its points from assignment.toml."""

    result: ItemResult
    title: str
    points: float
    max_points: float


@dataclass(frozen=True)
class GradedCriterion:
    """A rubric criterion with its items in registry order; bonus: its points count to nothing."""

    id: str
    title: str
    points: float
    max_points: float
    items: tuple[GradedItem, ...]
    bonus: bool = False


@dataclass(frozen=True)
class SuccessCriterion:
    """One of the success criteria: the measured value against its threshold, both as text."""

    id: str
    met: bool | None
    value: str
    threshold: str


@dataclass(frozen=True)
class Graded:
    """The rubric's arithmetic, complete. `passed` is None while what is pending could change it. The last of
    `criteria` may be the bonus items, which stand beside the score."""

    score: float
    pending: float
    max_score: float
    passed: bool | None
    criteria: tuple[GradedCriterion, ...]
    success_criteria: tuple[SuccessCriterion, ...]


@dataclass(frozen=True)
class RunInfo:
    """How a submission was graded; everything a re-run needs."""

    version: str
    seed: int
    profile: str
    device: str
    sandbox_tier: str
    threads: int
    duration_s: float
    sandbox_limits: str = ""


@dataclass(frozen=True)
class Grading:
    """A graded submission with all that its reports are made of. reports: their paths by file name, once written."""

    graded: Graded
    submission: Submission
    answers: Answers
    run: RunInfo
    spec: Spec
    reports: Mapping[str, Path] = field(default_factory=dict)

    @property
    def failed_here(self) -> tuple[str, ...]:
        """Items that a failure of the grader left open."""
        items = [item.result for criterion in self.graded.criteria for item in criterion.items]
        return tuple(result.id for result in items if result.status == "not_gradable")
