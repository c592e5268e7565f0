"""Read and check claims.toml, the register of what the notebook says that a reader will see in a run.

Each claim names a figure of a run (`assignment.lab.figures`) and its bounds. `python -m assignment.lab claims` judges
the claims over seeds, and the release gate checks that each has its mark in the text.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from assignment.registry.reading import SpecError, parse_toml, read_text
from assignment.registry.tables import Id, PartFile, Title
from assignment.registry.thresholds import Count, FrozenModel, Number

CLAIMS = Path(__file__).with_name("claims.toml")


class JudgedSeeds(FrozenModel):
    """[judged]: the seeds that judge the claims, first and last included, and on how many of them a claim must hold.
    The seeds before them are for tuning."""

    first: Count
    last: Count
    needed: Count

    @property
    def seeds(self) -> range:
        """Return the seeds that judge."""
        return range(self.first, self.last + 1)

    @property
    def for_tuning(self) -> range:
        """Return the seeds before them."""
        return range(1, self.first)

    @model_validator(mode="after")
    def _fits(self) -> JudgedSeeds:
        if not self.first <= self.last:
            raise ValueError(f"first {self.first} is after last {self.last}")
        if self.needed > len(self.seeds):
            raise ValueError(f"needed is {self.needed}, and there are {len(self.seeds)} seeds")
        return self


class Claim(FrozenModel):
    """[[claim]]: a sentence of the notebook about a run, and the number that decides whether it is true.

    part: the file with its mark. says: what it says, in short. figure, minus: the number is the figure, less the
    other one if there is one. above, below: bounds of the number, themselves excluded. seeds_needed: on how many of the
    judged seeds it must hold, if not on as many as the others.
    """

    id: Id
    part: PartFile
    says: Title
    figure: Id
    minus: Id | None = None
    above: Number | None = None
    below: Number | None = None
    seeds_needed: Count | None = None

    @property
    def number(self) -> str:
        """Return how the number is computed, such as `sft_gold_sampled - base_gold_sampled`."""
        return f"{self.figure} - {self.minus}" if self.minus else self.figure

    @property
    def figures(self) -> tuple[str, ...]:
        """Return the names of the figures that the claim needs."""
        return (self.figure, self.minus) if self.minus else (self.figure,)

    @property
    def bounds(self) -> str:
        """Return the bounds in words, such as `above 0, below 1`."""
        named = (("above", self.above), ("below", self.below))
        return ", ".join(f"{name} {bound:g}" for name, bound in named if bound is not None)

    def holds(self, number: float) -> bool:
        """Return whether the number lies within the bounds."""
        return (self.above is None or number > self.above) and (self.below is None or number < self.below)

    @model_validator(mode="after")
    def _bounded(self) -> Claim:
        if self.above is None and self.below is None:
            raise ValueError("a bound is missing; give above, below or both")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"above {self.above:g} is not less than below {self.below:g}")
        return self


class Claims(FrozenModel):
    """The whole register; the fields are its tables."""

    judged: JudgedSeeds
    claim: tuple[Claim, ...] = ()

    def needed(self, claim: Claim) -> int:
        """Return on how many of the judged seeds a claim must hold."""
        return claim.seeds_needed or self.judged.needed


def parse_claims(text: str, path: str | Path = CLAIMS) -> Claims:
    """Read and check the register in a TOML text. path: the name that error messages give it.

    Raises:
        SpecError: the text is not TOML, an entry is malformed, or two claims have one id.
    """
    claims = parse_toml(Claims, text, path)
    if found := _problems(claims):
        raise SpecError(path, found)
    return claims


def _problems(claims: Claims) -> list[str]:
    """Return a line for each id that is given twice, and for each claim that needs more seeds than there are."""
    ids = [claim.id for claim in claims.claim]
    lines = [f"[[claim]] {id_}: two claims have this id" for id_ in dict.fromkeys(ids) if ids.count(id_) > 1]
    seeds = len(claims.judged.seeds)
    lines += [
        f"[[claim]] {claim.id}: seeds_needed is {claim.seeds_needed}, and {seeds} seeds are judged"
        for claim in claims.claim
        if claims.needed(claim) > seeds
    ]
    return lines


def load_claims(path: Path = CLAIMS) -> Claims:
    """Read and check the register.

    Raises:
        SpecError: the file cannot be read, or it is wrong (see `parse_claims`).
    """
    return parse_claims(read_text(path), path)
