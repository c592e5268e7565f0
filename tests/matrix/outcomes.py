"""Compare what an entry lost with what it had to lose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autograder.core.records import UNDEFINED
from tests.matrix.nulls import MAY_CRASH

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from assignment.registry import Spec
    from tests.matrix.entries import Entry
    from tests.matrix.grading import Verdicts

SAME_SHARE = 1e-9  # a larger difference between two shares counts
# Exceptions that mean that the code of a null answer is broken, so that it gave no answer at all.
NO_ANSWER = ("RecursionError", "NameError", "UnboundLocalError", "SlotBrokenError")


@dataclass(frozen=True)
class Outcome:
    """What became of an entry.

    faults: sentences about what is not as declared. named: every expected known mistake was named, with its sentence.
    misnamed: another mistake was named instead. statuses: by item that lost points. said: by item, the names it got.
    """

    entry: Entry
    faults: tuple[str, ...] = ()
    named: bool = False
    misnamed: bool = False
    statuses: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether exactly the declared items lost exactly the declared shares."""
        return not self.faults

    def called(self, items: Collection[str]) -> str:
        """The names that these items got, as text; "" if there are none."""
        return ", ".join(sorted({text for item in items for text in self.said.get(item, ()) if text}))


def outcome_of(entry: Entry, runs: Sequence[tuple[int, Verdicts]], spec: Spec, *, trained: bool = False) -> Outcome:
    """Compare the verdicts of an entry with what it declares.

    runs: (grading seed, verdicts) of each run. A missing item has the reference's result, unless it is declared lost:
    then it must be there. trained: whether training items were run; if not, they need not be there.
    """
    faults = _ungraded(entry, runs, spec, trained)
    said: dict[str, list[str]] = {}
    for seed, verdicts in runs:
        faults += _faults(entry, seed, verdicts) + _unsaid(entry, verdicts)
        for item, one in verdicts.items():
            said.setdefault(item, []).append(one["names"])
    expected = [item for item in entry.names if item in said]
    named = bool(expected) and all(entry.names[item] in text.split(", ") for item in expected for text in said[item])
    wrong = any(
        text and entry.names.get(item, "") not in text.split(", ")
        for item in {*entry.changes, *entry.names} for text in said.get(item, ())
    )  # fmt: skip
    statuses = {item: one["status"] for _, verdicts in runs for item, one in verdicts.items() if one["share"] < 1}
    return Outcome(entry, tuple(dict.fromkeys(faults)), named, wrong, statuses,
                   {item: tuple(sorted(set(texts))) for item, texts in said.items()})  # fmt: skip


def _ungraded(entry: Entry, runs: Sequence[tuple[int, Verdicts]], spec: Spec, trained: bool) -> list[str]:
    """Items that are declared lost and that no run graded."""
    graded = {item for _, verdicts in runs for item in verdicts}
    due = {item for item in entry.costs if trained or spec.items[item].kind != "training"}
    return [f"{item} should be lost and was not graded" for item in sorted(due - graded)]


def _unsaid(entry: Entry, verdicts: Verdicts) -> list[str]:
    """Right names without the sentence that students have to read."""
    return [
        f"{item} is called {entry.names[item]} without its sentence"
        for item, sentence in entry.sentences.items()
        if item in verdicts and entry.names[item] in verdicts[item]["names"].split(", ")
        and sentence not in verdicts[item]["sentence"]
    ]  # fmt: skip


def _faults(entry: Entry, seed: int, verdicts: Verdicts) -> list[str]:
    found = []
    for item, one in verdicts.items():
        want = entry.costs.get(item, 1.0)
        if one["status"] == "not_gradable":
            found.append(f"{item} could not be graded (seed {seed})")
        elif abs(one["share"] - want) > SAME_SHARE:
            kept = f"{one['share']:.3g} of its points in place of {want:.3g}"
            found.append(f"{item} keeps {kept} (seed {seed}, {one['status']})")
    return found


def rejected(entry: Entry, verdicts: Verdicts, spec: Spec) -> str:
    """Why a null answer does not count as rejected; "" if it does."""
    (slot,) = entry.changes
    one, error = verdicts[slot], str(verdicts[slot]["about"].get("error", ""))
    said = f"{slot}: {one['status']}, {one['share']:.3g} of its points {error}".rstrip()
    if entry.title == "Z10" and one["status"] == "partial":  # right values without their gradient: stated credit
        return "" if abs(one["share"] - spec.partial.gradient) <= SAME_SHARE else said
    wanted = {"not_attempted"} if entry.title == "Z14" else {"wrong"}
    if (slot, entry.title) in MAY_CRASH and not error.startswith(NO_ANSWER) and not one["about"].get(UNDEFINED):
        wanted = {*wanted, "crashed"}
    return "" if one["share"] == 0 and one["status"] in wanted else said
