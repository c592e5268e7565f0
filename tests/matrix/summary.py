"""The whole matrix as numbers: what was right, and the line that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from assignment.registry import Spec
from tests.matrix.alone import Alone
from tests.matrix.grading import Verdicts
from tests.matrix.nulls import FORMS, why_not
from tests.matrix.outcomes import Outcome

NAMED_AT_LEAST = 0.85


@dataclass(frozen=True)
class Matrix:
    """All that was graded. nulls: (slot, null answer) -> why it is not rejected, "" if it is. trained: whether
    the training tests took part. blank, reference: verdicts of these two on all items that were run."""

    misconceptions: Sequence[Outcome]
    pairs: Sequence[Outcome]
    variants: Sequence[Outcome]
    nulls: dict[tuple[str, str], str]
    alone: Sequence[Alone]
    reference: Verdicts
    blank: float
    trained: bool
    invented: Sequence[Outcome] = ()

    def points(self, spec: Spec) -> tuple[float, float]:
        """The reference's points and what waits for a TA, of the items that were run."""
        won = sum(spec.items[item].points * one["share"] for item, one in self.reference.items())
        pending = sum(item.points for item in spec.item_list if item.kind == "written")
        return won, pending

    def line(self, spec: Spec) -> str:
        """The last line."""
        wrong, named = self.misconceptions, sum(one.named for one in self.misconceptions)
        won, pending = self.points(spec)
        note = "" if self.trained else f" of {self._possible(spec):g}+{pending:g} without training"
        parts = [
            f"misconceptions {_share(wrong)} lose only their items, {named} named",
            f"variants {_share(self.variants)} full",
            f"null answers {sum(not why for why in self.nulls.values())}/{len(self.nulls)} rejected",
            f"blank {self.blank:g}",
            f"reference {won:g}+{pending:g}{note}",
        ]
        return " · ".join(parts)

    def second_line(self) -> str:
        """What the last line has no place for."""
        through = sum(len(names) for one in self.alone for names in one.through.values())
        tried = sum(n for one in self.alone for n in one.tried.values())
        skipped = Counter(why for one in self.alone for null in FORMS if (why := why_not(one.slot, null)))
        reasons = ", ".join(f"{count} {why}" for why, count in skipped.most_common())
        misnamed = sum(one.misnamed for one in (*self.misconceptions, *self.invented))
        texts = [one.slot for one in self.alone if not one.outputs]
        parts = [
            f"pairs {_share(self.pairs)} lose both and nothing else",
            f"{misnamed} misnamed",
            f"checks alone {tried - through}/{tried} noticed" + (f" ({', '.join(texts)}: text, n/a)" if texts else ""),
            f"{skipped.total()} pairs of slot and null answer do not apply ({reasons})",
        ]
        return " · ".join(parts)

    def faults(self, spec: Spec) -> list[str]:
        """Everything that is not as it has to be, in words; empty if the matrix holds."""
        found = [f"{one.entry.kind} {one.entry.id}: {fault}" for one in self._graded() for fault in one.faults]
        found += [f"{o.entry.kind} {o.entry.id}: called {o.called(o.entry.changes)}"
                  for o in (*self.misconceptions, *self.invented) if o.misnamed]  # fmt: skip
        found += [f"null answer {slot} {null}: {why}" for (slot, null), why in self.nulls.items() if why]
        found += [f"checks of {one.slot} alone: {one.through}" for one in self.alone if not one.right]
        named = sum(one.named for one in self.misconceptions)
        if named < NAMED_AT_LEAST * len(self.misconceptions):
            found.append(f"only {named} of {len(self.misconceptions)} misconceptions are named")
        if self.blank:
            found.append(f"the blank notebook gets {self.blank:g} points")
        if self.points(spec)[0] < self._possible(spec):
            found.append(f"the reference gets {self.points(spec)[0]:g} of {self._possible(spec):g} points")
        return found

    def _graded(self) -> list[Outcome]:
        return [*self.misconceptions, *self.pairs, *self.variants, *self.invented]

    def _possible(self, spec: Spec) -> float:
        kinds = ("slot", "quality", *(("training",) if self.trained else ()))
        return sum(item.points for item in spec.item_list if item.kind in kinds)


def _share(outcomes: Sequence[Outcome]) -> str:
    return f"{sum(one.right for one in outcomes)}/{len(outcomes)}"
