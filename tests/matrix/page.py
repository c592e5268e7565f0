"""Write docs/grading-matrix.md: the matrix as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.matrix.entries import PAIRS, SEEDS
from tests.matrix.nulls import FORMS, NAMES, REASONS, why_not
from tests.matrix.store import page_state
from tests.matrix.variants import NOT_APPLICABLE
from tests.support.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from assignment.registry import Spec
    from tests.matrix.outcomes import Outcome
    from tests.matrix.spoilt_outputs import SpoiltOutputs
    from tests.matrix.summary import Matrix

MADE_BY = "Made by `make matrix`; do not edit."
INTRO = (
    f"# The grading matrix\n\n{MADE_BY} "
    + """\
This page shows what a score means: every known mistake
costs its own items and no others, and is named; every correct answer gets full marks, however it is written; an
answer without content earns nothing.

Each row is a submission: the solved notebook with one cell (for pairs, two) replaced. It is graded as every
submission is, by extraction, the sandboxed worker, the hidden tests and the rubric. Slot tests ran on the grading
seeds {seeds}; training tests ran on seed {first}, once for all entries with the same code in a stage. The reference
replaces a slot that fails in the stages that use it, so the slot cannot cost a training item.
"""
)


INVENTED = """\
These mistakes were invented after the hidden tests and the library, and were used to tune neither. The library
does not have them, so any name for them is wrong."""


def page(matrix: Matrix, spec: Spec) -> str:
    """The whole page."""
    training = "" if matrix.trained else (
        "\nThis was a quick run: each submission on one of the seeds, in turn, the first form of each null answer, "
        "code quality of correct answers only, no training tests. Costs in training items are declared, not measured.\n"
    )  # fmt: skip
    parts = [
        INTRO.format(seeds=", ".join(map(str, SEEDS)), first=SEEDS[0]) + training,
        *([stamp(page_state())] if matrix.trained else []),
        f"```\n{matrix.second_line()}\n{matrix.line(spec)}\n```",
        _faults(matrix, spec),
        "## Known mistakes", _misconceptions(matrix.misconceptions),
        "## Mistakes invented afterwards", INVENTED, _invented(matrix.invented),
        f"## Pairs\n\n{PAIRS} random pairs of known mistakes in different slots: each costs exactly the items of both.",
        _table(("pair", "as declared"), ((o.entry.id, _mark(o)) for o in matrix.pairs)),
        "## Correct variants", _variants(matrix.variants),
        "## Null answers", _nulls(matrix),
        "## Spoilt outputs", _spoilt(matrix),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _faults(matrix: Matrix, spec: Spec) -> str:
    found = matrix.faults(spec)
    if not found:
        return "Everything is as declared."
    return "Not as declared:\n\n" + "\n".join(f"- {fault}" for fault in found)


def _misconceptions(outcomes: Sequence[Outcome]) -> str:
    rows = (
        (o.entry.id, o.entry.title, _costs(o), ", ".join(sorted(set(o.statuses.values()))) or "–",
         "yes" if o.named else f"as {o.called(o.entry.changes)}" if o.misnamed else "no", _symptoms(o), _mark(o))
        for o in outcomes
    )  # fmt: skip
    return _table(("slot, id", "the mistake", "costs", "status", "named", "symptom in training", "as declared"), rows)


def _invented(outcomes: Sequence[Outcome]) -> str:
    rows = (
        (o.entry.id, o.entry.title, ", ".join(sorted(set(o.statuses.values()))) or "–",
         o.called(o.entry.changes) or "no name", _mark(o))
        for o in outcomes
    )  # fmt: skip
    return _table(("slot, id", "the mistake", "status", "named as", "costs exactly its slot"), rows)


def _symptoms(outcome: Outcome) -> str:
    """The names of the lost training items, whether or not they were declared."""
    return outcome.called(set(outcome.said) - set(outcome.entry.changes)) or "–"


def _costs(outcome: Outcome) -> str:
    return ", ".join(item if not kept else f"{item} (keeps {kept:.3g})" for item, kept in outcome.entry.costs.items())


def _variants(outcomes: Sequence[Outcome]) -> str:
    rows = ((o.entry.id[:3], o.entry.id[4:], _mark(o)) for o in outcomes)
    left = "\n".join(f"- {what}: {why}." for what, why in NOT_APPLICABLE.items())
    table = _table(("slot", "written as", "full marks"), rows)
    return f"{table}\n\nAlternatives that apply to no slot:\n\n{left}"


def _nulls(matrix: Matrix) -> str:
    head = ("null answer", *(one.slot for one in matrix.spoilt))
    rows = ((f"{null} {NAMES[null]}", *(_null(matrix, one.slot, null) for one in matrix.spoilt)) for null in FORMS)
    reasons = "\n".join(f"- {', '.join(slots)}: {', '.join(nulls)} – {why}." for slots, nulls, why in REASONS)
    return (_table(head, rows) + "\n\n`✓` rejected, with the right status (Z14: not attempted); `–` does not apply:"
            f"\n\n{reasons}")  # fmt: skip


def _null(matrix: Matrix, slot: str, null: str) -> str:
    if why_not(slot, null):
        return "–"
    return "✗" if matrix.nulls.get((slot, null), "not run") else "✓"


def _spoilt(matrix: Matrix) -> str:
    forms = list(matrix.spoilt[0].tried)
    rows = (
        (one.slot, "passes" if one.reference else "FAILS", "rejected" if one.blank else "PASSES",
         *(_noticed(one, form) for form in forms))
        for one in matrix.spoilt
    )  # fmt: skip
    text = (
        "One output of the right answer is spoilt in every case, and all others stay right. The cells show how "
        "many of the spoilt outputs were noticed. `–`: the form changes nothing (one number cannot be shifted)."
    )
    return text + "\n\n" + _table(("slot", "reference", "blank", *forms), rows)


def _noticed(one: SpoiltOutputs, form: str) -> str:
    tried = one.tried[form]
    return f"{tried - len(one.unnoticed[form])}/{tried}" if tried else "–" if one.outputs else "text: n/a"


def _mark(outcome: Outcome) -> str:
    return "✓" if outcome.right else "✗"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
