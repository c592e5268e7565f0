"""Holding what an entry lost against what it had to lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assignment.spec import Spec
from tests.matrix.entries import Entry
from tests.matrix.grading import Verdicts

WHOLE = 1e-9


@dataclass(frozen=True)
class Outcome:
    """right: exactly the declared items lost exactly the declared share. named: every expected name was said;
    misnamed: a name was said, and not the right one. faults: what is not as declared, in words."""

    entry: Entry
    faults: tuple[str, ...] = ()
    named: bool = False
    misnamed: bool = False
    statuses: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """No fault."""
        return not self.faults


def judge(entry: Entry, runs: Sequence[tuple[int, Verdicts]], spec: Spec) -> Outcome:
    """runs: (grading seed, verdicts) of all that was graded; what is absent is as in the reference."""
    faults: list[str] = []
    said: dict[str, list[str]] = {slot: [] for slot in entry.names}
    for seed, verdicts in runs:
        faults += _faults(entry, seed, verdicts)
        for slot in entry.names:
            if slot in verdicts:
                said[slot].append(verdicts[slot]["names"])
    named = bool(said) and all(
        texts and all(entry.names[slot] in text.split(", ") for text in texts) for slot, texts in said.items()
    )
    wrong = any(text and entry.names[slot] not in text.split(", ") for slot, texts in said.items() for text in texts)
    statuses = {item: one["status"] for _, verdicts in runs for item, one in verdicts.items() if one["share"] < 1}
    return Outcome(entry, tuple(dict.fromkeys(faults)), named, wrong, statuses,
                   tuple(sorted({text for texts in said.values() for text in texts})))  # fmt: skip


def _faults(entry: Entry, seed: int, verdicts: Verdicts) -> list[str]:
    found = []
    for item, one in verdicts.items():
        want = entry.costs.get(item, 1.0)
        if one["status"] == "not_gradable":
            found.append(f"{item} could not be graded (seed {seed})")
        elif abs(one["share"] - want) > WHOLE:
            kept = f"{one['share']:.3g} of its points in place of {want:.3g}"
            found.append(f"{item} keeps {kept} (seed {seed}, {one['status']})")
    return found


def rejected(entry: Entry, verdicts: Verdicts) -> str:
    """Why a null answer does not count as rejected, or ""."""
    (slot,) = entry.changes
    one = verdicts[slot]
    wanted = ("not_attempted",) if entry.title == "Z14" else ("wrong", "partial", "crashed")
    if one["share"] >= 1 or one["status"] not in wanted:
        return f"{slot}: {one['status']}, {one['share']:.3g} of its points"
    return ""
