"""Judge the notebook's claims over the seeds of benchmarks/results, and print or write the tables of docs/world.md."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from .figures import Figures, curve_figures
from .outcomes import read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from assignment.registry.claims import Claim, Claims

Row = dict[str, Any]
State = Literal["holds", "open", "fails", "not measured"]


def judged_rows(path: Path, seeds: Sequence[int]) -> list[Row]:
    """Return the rows with figures of the judged seeds, one for each, in the order of the seeds.

    Raises:
        ForeignFileError: a line of the file is no outcome of a seed.
    """
    rows = {row["seed"]: row for row in read_rows(path) if row["seed"] in seeds and "figures" in row}
    return [rows[seed] for seed in sorted(rows)]


def figures_of(row: Row) -> Figures:
    """Return a row's figures. Those of its curves are computed again, so that a new one needs no new run."""
    return {**row["figures"], **curve_figures(row["curves"])}


@dataclass(frozen=True)
class Verdict:
    """What the judged seeds say of a claim. numbers: by seed; a seed whose row lacks the figure counts as a miss and
    has no number. needed: on how many of the `seeds` judged in the end it must hold. seen: seeds with a row."""

    claim: Claim
    numbers: Mapping[int, float]
    seen: int
    seeds: int
    needed: int

    @property
    def held(self) -> int:
        """Return on how many seeds the claim holds."""
        return sum(self.claim.holds(number) for number in self.numbers.values())

    @property
    def misses(self) -> int:
        """Return on how many seeds it does not hold, or cannot be judged."""
        return self.seen - self.held

    @property
    def state(self) -> State:
        """Return whether it holds on enough seeds, can no longer do so, or waits for more seeds."""
        if not self.seen:
            return "not measured"
        if self.misses > self.seeds - self.needed:
            return "fails"
        return "holds" if self.held >= self.needed else "open"

    @property
    def middle(self) -> float:
        """Return the median of the numbers. StatisticsError if there is none."""
        return median(self.numbers.values())


def verdicts(claims: Claims, rows: Sequence[Row]) -> list[Verdict]:
    """Judge every claim."""
    figures = {row["seed"]: figures_of(row) for row in rows}
    seeds = len(claims.judged.seeds)
    found = []
    for claim in claims.claim:
        numbers = {seed: number(claim, one) for seed, one in figures.items() if set(claim.figures) <= set(one)}
        found.append(Verdict(claim, numbers, len(rows), seeds, claims.needed(claim)))
    return found


def number(claim: Claim, figures: Mapping[str, float]) -> float:
    """Return the number that decides a claim on one seed. KeyError if the row lacks one of its figures."""
    return figures[claim.figure] - (figures[claim.minus] if claim.minus else 0.0)


def failures(found: Sequence[Verdict]) -> list[str]:
    """Return a sentence for each claim that fails."""
    return [_failure(one) for one in found if one.state == "fails"]


def _failure(one: Verdict) -> str:
    claim, lacking = one.claim, one.seen - len(one.numbers)
    number = f"{claim.number} has to be {claim.bounds}"
    text = f"{claim.id} ({claim.part}) holds on {one.held} of {one.seen} seeds, not on {one.needed} of {one.seeds}: "
    if lacking == one.seen:
        return f"{text}no row has {claim.number}; correct the figure in the register"
    more = f"; {lacking} rows lack it" if lacking else ""
    return f"{text}{number}, its median is {one.middle:.4g}{more}"
