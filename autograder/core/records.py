"""Frozen records that travel between the steps of a grading run.

Intake makes a Submission, extraction makes Answers, the steps that grade make ItemResults, the rubric makes Graded, and
the reports are written from Grading. Every record is plain data (JSON types, tuples, dicts), so that any step can be
run again and audited from disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from assignment.registry import Spec

Status = Literal[
    "passed", "partial", "wrong", "not_attempted", "crashed", "timeout", "out_of_memory", "needs_review", "not_gradable"
]

UNDEFINED = "undefined"  # key in the evidence of a slot whose code failed while it was defined


@dataclass(frozen=True)
class Cell:
    """One notebook cell: its position, its kind ("code", "markdown", "raw") and its source text.

    results: what the notebook had saved in it as machine-readable results. Only the TA sees them, as claims.
    """

    index: int
    kind: str
    source: str
    results: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Submission:
    """A notebook as received. name: the name of its file, for display only. notes: for the TA, on reading the file."""

    name: str
    sha256: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What extraction found for one slot.

    state: "present" (attempted code), "blank" (the template's placeholder), "missing" (no cell and no definition of
    that name), "broken" (the source does not parse). problem: tells the student what is wrong and, in its last
    sentence, what to do, if the answer is missing or broken, or if it is blank and code of the slot stands where it
    does not run; else empty.
    """

    slot: str
    state: Literal["present", "blank", "missing", "broken"]
    source: str = ""
    cell: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Answers:
    """The answers of a submission. prelude: the imports, helper functions and constants that they need."""

    prelude: str
    slots: Mapping[str, Answer]
    written: Mapping[str, str] = field(default_factory=dict)
    results: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ItemResult:
    """The result of one rubric item.

    share: the part of the item's points that is earned, in [0, 1]. message: a template text that a student may read.
    misconception: the known mistake that reproduces the answer, with `id`, `name` and `sentence`, or None. evidence:
    JSON data for the TA (residuals, curves, tracebacks, generations). replaced: the slots that the reference replaced
    in this item's run. criterion: the success criterion that this item decides, if it decides one.
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
    """A rubric criterion with its items in the registry's order. bonus: its points do not count to the score."""

    id: str
    title: str
    points: float
    max_points: float
    items: tuple[GradedItem, ...]
    bonus: bool = False


@dataclass(frozen=True)
class SuccessCriterion:
    """A success criterion: the measured value and its threshold, both as text. met: None if it is not decided."""

    id: str
    met: bool | None
    value: str
    threshold: str


@dataclass(frozen=True)
class Graded:
    """A submission's points. passed: None while what is pending could change it. criteria: the last may hold the bonus
    items, which do not count to the score."""

    score: float
    pending: float
    max_score: float
    passed: bool | None
    criteria: tuple[GradedCriterion, ...]
    success_criteria: tuple[SuccessCriterion, ...]


@dataclass(frozen=True)
class RunInfo:
    """How a submission was graded: all that is needed to repeat the run."""

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
    """A graded submission with everything that its reports show. reports: their paths by file name, once written."""

    graded: Graded
    submission: Submission
    answers: Answers
    run: RunInfo
    spec: Spec
    reports: Mapping[str, Path] = field(default_factory=dict)

    @property
    def failed_here(self) -> tuple[str, ...]:
        """The items that a grader error left open."""
        items = [item.result for criterion in self.graded.criteria for item in criterion.items]
        return tuple(result.id for result in items if result.status == "not_gradable")
