"""Put together what the outcomes of a world say about the notebook's claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assignment.registry.claims import CLAIMS, load_claims

from . import world_page
from .claims import Verdict, failures, judged_rows, verdicts

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Report:
    """verdicts: of every claim. tables: of docs/world.md, by name. seen, missing: seeds with and without a row.
    to_run: how the missing ones are measured, or nothing."""

    verdicts: list[Verdict]
    tables: dict[str, str]
    seen: list[int]
    missing: list[int]
    to_run: str

    @property
    def failures(self) -> list[str]:
        """Return a sentence for each claim that fails."""
        return failures(self.verdicts)


def rows_file(world: int, folder: Path) -> Path:
    """Return the file with the outcomes of a world."""
    return folder / f"lab-world-{world}.jsonl"


def report(world: int, folder: Path, register: Path = CLAIMS, *, tuning: bool = False) -> Report:
    """Judge the claims of a register on the outcomes of a world in a folder. tuning: on the seeds for tuning instead.

    Raises:
        SpecError: the register is wrong.
        ForeignFileError: the file of the outcomes holds something else.
    """
    claims = load_claims(register)
    seeds = claims.judged.for_tuning if tuning else claims.judged.seeds
    rows = judged_rows(rows_file(world, folder), seeds)
    seen = [row["seed"] for row in rows]
    missing = [seed for seed in seeds if seed not in seen]
    found = verdicts(claims, rows)
    to_run = _to_run(world, missing, len(seeds))
    return Report(found, world_page.tables(found, rows, f"Not measured yet. {to_run}"), seen, missing, to_run)


def _to_run(world: int, missing: list[int], seeds: int) -> str:
    """Say how the missing seeds are measured."""
    if not missing:
        return ""
    which = f"$(seq {missing[0]} {missing[-1]})"  # seeds that have a row are skipped
    command = f"python -m assignment.lab outcomes --seed {world} --threads 1 --seeds {which}"
    return f"{len(missing)} of {seeds} seeds of world {world} have no row with figures: run `{command}`."
