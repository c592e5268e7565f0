"""Check that the register of claims and the marks in the text fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assignment.registry import SpecError
from assignment.registry.claims import Claims, load_claims
from assignment.release.markers import claims_of
from assignment.verify.static import FailedCheckError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assignment.release.release import Layout, Release
    from assignment.release.source import Cell


def check_claims(release: Release, layout: Layout) -> str:
    """Check that each claim of the register has one mark, in the part it names, and each mark has a claim."""
    try:
        claims = load_claims(layout.claims)
    except SpecError as error:
        raise FailedCheckError(list(error.problems)) from error
    if problems := [*_problems(claims, release.cells)]:
        raise FailedCheckError(problems)
    return f"{len(claims.claim)} claims, each marked in its part"


def _problems(claims: Claims, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield a sentence for each mark and each claim that lacks the other."""
    parts = {claim.id: claim.part for claim in claims.claim}
    first: dict[str, str] = {}
    for id_, file, line in _marks(cells):
        place = f"{file}:{line}"
        if id_ in first:
            yield f"{place}: claim {id_} is already marked in {first[id_]}; keep one mark"
        elif id_ not in parts:
            yield f"{place}: the mark names claim {id_}, which the register does not have"
        elif file != parts[id_]:
            yield f"{place}: claim {id_} belongs in {parts[id_]}; move the mark, or change `part` in the register"
        first.setdefault(id_, place)
    for id_ in parts:
        if id_ not in first:
            yield f"claim {id_} has no mark in {parts[id_]}: write `<!-- CLAIM {id_} -->` before its sentence"


def _marks(cells: Sequence[Cell]) -> Iterator[tuple[str, str, int]]:
    """Yield (id, file, line) of every mark."""
    for cell in cells:
        for id_, line in claims_of(cell.source, cell.location, markdown=cell.kind == "markdown"):
            yield id_, cell.location.file, cell.location.line + line
