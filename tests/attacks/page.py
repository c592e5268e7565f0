"""Write the table of attacks in docs/security.md from the catalogue and the kept verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assignment.files import write_atomically
from tests.attacks.catalogue import ATTACKS, NOT_ACTED
from tests.attacks.runner import GRADER, Verdict, stored, summary
from tests.matrix.store import digest, hashes_of
from tests.support.sources import ROOT
from tests.support.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.base import Attack

PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- made by: python -m tests.attacks --write-docs -->", "<!-- end of the table -->"
TIERS = (1, 3)
HEADING = "| id | attack | rows | what happens | tier 1 | tier 3 |\n| --- | --- | --- | --- | --- | --- |"


def write_docs() -> int:
    """Write the table into the page, from the verdicts on the current grader. Returns 1 if tier 1 is incomplete.

    An attack without a verdict is shown as `not run`.
    """
    head, tail = _around_the_table()
    found = {(attack.id, tier): stored(attack, tier) for attack in ATTACKS for tier in TIERS}
    missing = [attack.id for attack in ATTACKS if found[attack.id, 1] is None]
    made_with = "" if missing else f"{stamp(page_state())}\n"
    write_atomically(PAGE, f"{head}{BEGIN}\n{made_with}{table(found)}\n{END}{tail}")
    print(f"{PAGE}: {len(ATTACKS)} attacks")
    if missing:
        print(f"no verdict on the current grader for {', '.join(missing)}: run python -m tests.attacks")
    return int(bool(missing))


def page_state() -> str:
    """A hash of the grader and the attacks. After a change of it the attacks have to be run again."""
    return digest(hashes_of(*GRADER, "tests/attacks"))[:16]


def _around_the_table() -> tuple[str, str]:
    """The page's text before and after the table. Raises SystemExit if the lines around the table are missing."""
    text = PAGE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} is left as it is: the lines {BEGIN} and {END} have to enclose the table")
    return head, tail


def table(found: Mapping[tuple[str, int], Verdict | None]) -> str:
    """The totals of each tier, a row per attack, and the rows of the catalogue that cannot be tried."""
    totals = []
    for tier in TIERS:
        kept = [verdict for (_, one), verdict in found.items() if one == tier and verdict is not None]
        totals.append(f"- tier {tier}: `{summary(kept)}`" if kept else f"- tier {tier}: not run")
    rows = [_row(attack, [found[attack.id, tier] for tier in TIERS]) for attack in ATTACKS]
    rest = [f"- **{row}**: {reason}" for row, reason in NOT_ACTED.items()]
    return "\n".join(["", *totals, "", HEADING, *rows, "", "Not tried:", "", *rest, ""])


def described(attack: Attack) -> str:
    """The part of a row that does not depend on a run."""
    rows = ", ".join(row for row in attack.rows if row != attack.id) or "–"
    return f"| {attack.id} | {_cell(attack.title)} | {rows} | {_cell(attack.defence)} |"


def _row(attack: Attack, verdicts: list[Verdict | None]) -> str:
    return " ".join([described(attack), *(f"{_cell(_shown(verdict))} |" for verdict in verdicts)])


def _shown(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not run"
    failed = verdict.gained or verdict.host or verdict.after
    return f"**succeeded**: {'; '.join(failed)}" if failed else verdict.happened


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
