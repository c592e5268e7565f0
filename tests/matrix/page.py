"""docs/grading-matrix.md: the matrix as tables that a colleague elsewhere can read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assignment.registry import Spec
from tests.matrix.alone import Alone
from tests.matrix.entries import PAIRS, SEEDS
from tests.matrix.nulls import FORMS, NAMES, REASONS, why_not
from tests.matrix.outcomes import Outcome
from tests.matrix.store import page_state
from tests.matrix.summary import Matrix
from tests.matrix.variants import NOT_APPLICABLE
from tests.support.stamps import stamp

MADE_BY = "Made by `make matrix`; do not edit."
INTRO = f"# The grading matrix\n\n{MADE_BY} " + """\
What a score means can be read off here: every known mistake costs its own
items and no other, and is called by its name; every correct answer, however it is written, costs nothing; an
answer without content earns nothing.

Each row is a submission: the solved notebook with one cell (for pairs, two) replaced, taken through extraction,
the sandboxed worker, the judge and the rubric's items, as every submission is. Slot tests ran on the grading
seeds {seeds}; training tests on seed {first}, once for each different code that takes part in a stage. A slot
that fails is replaced by the reference in the stages that use it, so it cannot cost a training item.
"""


INVENTED = """Mistakes thought of when tests and library were done, and used to tune neither. They have no entry, so
no name is the right name for them."""


def page(matrix: Matrix, spec: Spec) -> str:
    """The whole document."""
    training = "" if matrix.trained else (
        "\nThis was the quick form: one of the seeds for each submission, in turn, the first form of each null answer, "
        "code quality of correct answers only, and no training tests; costs in training items are those declared, "
        "not measured here.\n"
    )  # fmt: skip
    parts = [
        INTRO.format(seeds=", ".join(map(str, SEEDS)), first=SEEDS[0]) + training,
        *([stamp(page_state())] if matrix.trained else []),
        f"```\n{matrix.second_line()}\n{matrix.line(spec)}\n```",
        _faults(matrix, spec),
        "## Misconceptions", _misconceptions(matrix.misconceptions),
        "## Invented afterwards", INVENTED, _invented(matrix.invented),
        f"## Pairs\n\n{PAIRS} random pairs of misconceptions in different slots: both lose, and nothing else does.",
        _table(("pair", "as declared"), ((o.entry.id, _mark(o)) for o in matrix.pairs)),
        "## Correct variants", _variants(matrix.variants),
        "## Null answers", _nulls(matrix),
        "## Each check alone", _alone(matrix),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _faults(matrix: Matrix, spec: Spec) -> str:
    found = matrix.faults(spec)
    if not found:
        return "Nothing is otherwise than declared."
    return "Not as declared:\n\n" + "\n".join(f"- {fault}" for fault in found)


def _misconceptions(outcomes: Sequence[Outcome]) -> str:
    rows = (
        (o.entry.id, o.entry.title, _costs(o), ", ".join(sorted(set(o.statuses.values()))) or "–",
         "yes" if o.named else f"as {o.called(o.entry.changes)}" if o.misnamed else "no", _signs(o), _mark(o))
        for o in outcomes
    )  # fmt: skip
    return _table(("slot, id", "the mistake", "costs", "status", "named", "sign in training", "as declared"), rows)


def _invented(outcomes: Sequence[Outcome]) -> str:
    rows = (
        (o.entry.id, o.entry.title, ", ".join(sorted(set(o.statuses.values()))) or "–",
         o.called(o.entry.changes) or "no name", _mark(o))
        for o in outcomes
    )  # fmt: skip
    return _table(("slot, id", "the mistake", "status", "called", "loses its slot only"), rows)


def _signs(outcome: Outcome) -> str:
    """What the lost training items were called, whether or not it was declared."""
    return outcome.called(set(outcome.said) - set(outcome.entry.changes)) or "–"


def _costs(outcome: Outcome) -> str:
    return ", ".join(item if not kept else f"{item} (keeps {kept:.3g})" for item, kept in outcome.entry.costs.items())


def _variants(outcomes: Sequence[Outcome]) -> str:
    rows = ((o.entry.id[:3], o.entry.id[4:], _mark(o)) for o in outcomes)
    left = "\n".join(f"- {what}: {why}." for what, why in NOT_APPLICABLE.items())
    table = _table(("slot", "written as", "full marks"), rows)
    return f"{table}\n\nAlternatives that apply to no slot here:\n\n{left}"


def _nulls(matrix: Matrix) -> str:
    head = ("null answer", *(one.slot for one in matrix.alone))
    rows = ((f"{null} {NAMES[null]}", *(_null(matrix, one.slot, null) for one in matrix.alone)) for null in FORMS)
    reasons = "\n".join(f"- {', '.join(slots)}: {', '.join(nulls)} – {why}." for slots, nulls, why in REASONS)
    return (_table(head, rows) + "\n\n`✓` rejected, with the right status (Z14: not attempted); `–` does not apply:"
            f"\n\n{reasons}")  # fmt: skip


def _null(matrix: Matrix, slot: str, null: str) -> str:
    if why_not(slot, null):
        return "–"
    return "✗" if matrix.nulls.get((slot, null), "not run") else "✓"


def _alone(matrix: Matrix) -> str:
    forms = list(matrix.alone[0].tried)
    rows = (
        (one.slot, "passes" if one.reference else "FAILS", "rejected" if one.blank else "PASSES",
         *(_noticed(one, form) for form in forms))
        for one in matrix.alone
    )  # fmt: skip
    text = ("One output of the right answer is spoilt, in every case, and all others are left right: noticed / tried. "
            "`–`: the form changes nothing (one number cannot be shifted).")  # fmt: skip
    return text + "\n\n" + _table(("slot", "reference", "blank", *forms), rows)


def _noticed(one: Alone, form: str) -> str:
    tried = one.tried[form]
    return f"{tried - len(one.through[form])}/{tried}" if tried else "–" if one.outputs else "text: n/a"


def _mark(outcome: Outcome) -> str:
    return "✓" if outcome.right else "✗"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
