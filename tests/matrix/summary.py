"""The whole matrix in numbers: how many entries are as declared, and the lines that say so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.matrix.nulls import FORMS, why_not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assignment.registry import Spec
    from tests.matrix.grading import Verdicts
    from tests.matrix.outcomes import Outcome
    from tests.matrix.spoilt_outputs import SpoiltOutputs

NAMED_AT_LEAST = 0.85


@dataclass(frozen=True)
class Matrix:
    """All results. nulls: by slot and null answer, why it is not rejected; "" if it is. reference: its verdicts on all
    items that were run. blank: the score of the blank notebook. trained: whether training tests were run."""

    misconceptions: Sequence[Outcome]
    pairs: Sequence[Outcome]
    variants: Sequence[Outcome]
    nulls: dict[tuple[str, str], str]
    spoilt: Sequence[SpoiltOutputs]
    reference: Verdicts
    blank: float
    trained: bool
    invented: Sequence[Outcome] = ()

    def points(self, spec: Spec) -> tuple[float, float]:
        """The points of the reference in the items that were run, and the points that wait for a TA."""
        won = sum(spec.items[item].points * one["share"] for item, one in self.reference.items())
        pending = sum(item.points for item in spec.item_list if item.kind == "written")
        return won, pending

    def line(self, spec: Spec) -> str:
        """The last line of the command's output."""
        wrong, named = self.misconceptions, sum(one.named for one in self.misconceptions)
        won, pending = self.points(spec)
        note = "" if self.trained else f" of {self._possible(spec):g}+{pending:g} without training"
        parts = [
            f"{_share(wrong)} known mistakes cost exactly the expected items, {named} named",
            f"{_share(self.variants)} correct variants get full marks",
            f"{sum(not why for why in self.nulls.values())} of {len(self.nulls)} null answers rejected",
            f"blank {self.blank:g}",
            f"reference {won:g}+{pending:g}{note}",
        ]
        return " · ".join(parts)

    def second_line(self) -> str:
        """The line before the last."""
        unnoticed = sum(len(names) for one in self.spoilt for names in one.unnoticed.values())
        tried = sum(n for one in self.spoilt for n in one.tried.values())
        skipped = Counter(why for one in self.spoilt for null in FORMS if (why := why_not(one.slot, null)))
        reasons = ", ".join(f"{count} {why}" for why, count in skipped.most_common())
        misnamed = sum(one.misnamed for one in (*self.misconceptions, *self.invented))
        texts = [one.slot for one in self.spoilt if not one.outputs]
        parts = [
            f"{_share(self.pairs)} pairs cost exactly the items of both",
            f"{misnamed} misnamed",
            f"{tried - unnoticed} of {tried} spoilt outputs noticed"
            + (f" ({', '.join(texts)}: text, n/a)" if texts else ""),
            f"{skipped.total()} combinations of slot and null answer do not apply ({reasons})",
        ]
        return " · ".join(parts)

    def faults(self, spec: Spec) -> list[str]:
        """Sentences about everything that is not as declared; empty if all is."""
        found = [f"{one.entry.kind} {one.entry.id}: {fault}" for one in self._graded() for fault in one.faults]
        found += [f"{o.entry.kind} {o.entry.id}: called {o.called(o.entry.changes)}"
                  for o in (*self.misconceptions, *self.invented) if o.misnamed]  # fmt: skip
        found += [f"null answer {slot} {null}: {why}" for (slot, null), why in self.nulls.items() if why]
        found += [f"spoilt outputs of {one.slot}, unnoticed: {one.unnoticed}" for one in self.spoilt if not one.right]
        named = sum(one.named for one in self.misconceptions)
        if named < NAMED_AT_LEAST * len(self.misconceptions):
            found.append(f"only {named} of {len(self.misconceptions)} known mistakes are named")
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
    return f"{sum(one.right for one in outcomes)} of {len(outcomes)}"
