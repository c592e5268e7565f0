"""Write the tables of docs/world.md: claims, right answers to each kind of question, and the figures of the runs."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from assignment.files import write_atomically

from . import intervals
from .claims import figures_of
from .counts import PAIR
from .figures import DECODINGS, JUDGES, MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .claims import Row, Verdict
    from .intervals import Estimate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "world.md"
COMMAND = "python -m assignment.lab claims --write"
BEGIN, END = f"<!-- {{}}: made by {COMMAND} -->", "<!-- end of {} -->"
# The figures of the last table: its rows, and the end of the figures' names after the model's.
REPLIES = {
    "gold reward": "gold_{d}",
    "win rate against SFT": "win_{d}",
    "KL to SFT, nats per reply": "kl_{d}",
    "tokens per reply": "tokens_{d}",
    "share of empty replies": "empty_{d}",
    "score of the Poor RM": "poor_proxy_{d}",
    "score of the Good RM": "good_proxy_{d}",
}
# The same for what PPO's own phases and the two judges show; these names begin with the judge's.
TRAINING = {
    "reward: last phases less first": "reward_rise",
    "gold reward: last phases less first": "gold_rise",
    "KL in the last phases": "kl_last",
    "tokens: last phases less first": "length_rise",
    "nats of entropy per token: last phases less first": "entropy_rise",
}
ACCURACIES = {
    "accuracy on held-out pairs": "accuracy",
    "where the chosen reply is longer": "accuracy_longer",
    "where it is not": "accuracy_not_longer",
}


class PageError(Exception):
    """The page lacks the lines that enclose a table."""


def tables(found: Sequence[Verdict], rows: Sequence[Row], nothing: str) -> dict[str, str]:
    """Return the tables in Markdown, by the names of their places in the page. nothing: stands there without rows."""
    if not rows:
        return dict.fromkeys(("claims", "kinds", "differences", "figures"), nothing)
    return {
        "claims": claims_table(found),
        "kinds": kinds_table(rows),
        "differences": differences_table(rows),
        "figures": figures_table(rows),
    }


def claims_table(found: Sequence[Verdict]) -> str:
    """Return a row for each claim: what it says, its number and bounds, and how it fared."""
    head = ("claim", "part", "says", "number", "bounds", "holds", "median", "range", "")
    note = f"n = {found[0].seen} of {found[0].seeds} seeds." if found else "The register is empty."
    return table(head, [_claim_row(one) for one in found], note)


def _claim_row(one: Verdict) -> list[str]:
    claim, values = one.claim, list(one.numbers.values())
    measured = [f"{one.middle:.3g}", f"{min(values):.3g} … {max(values):.3g}"] if values else ["–", "–"]
    shown = f"**{one.state}**" if one.state == "fails" else one.state
    share = f"{one.held} of {one.seen}; needed: {one.needed} of {one.seeds}"
    return [f"`{claim.id}`", claim.part[1], claim.says, f"`{claim.number}`", claim.bounds, share, *measured, shown]


def kinds_table(rows: Sequence[Row]) -> str:
    """Return the shares of right answers, pooled over seeds, with their intervals."""
    head = ("kind", "n", "distinct", *(f"{name}, {decoding}" for decoding in DECODINGS for name in PAIR))
    lines = []
    for kind, counts in rows[0]["kinds"][DECODINGS[0]].items():
        cells = [_shown(_share(rows, decoding, kind, MODELS[name])) for decoding in DECODINGS for name in PAIR]
        n = sum(row["kinds"][DECODINGS[0]][kind]["n"] for row in rows)
        distinct = median(row["kinds"][DECODINGS[0]][kind]["distinct"] for row in rows)
        lines.append([kind, str(n), f"{distinct:.0f} of {counts['n']}", *cells])
    return table(head, lines, _method(rows, "Wilson's interval of the pooled replies"))


def _share(rows: Sequence[Row], decoding: str, kind: str, model: str) -> Estimate:
    counts = [row["kinds"][decoding][kind] for row in rows]
    return intervals.share([one["right"][model] for one in counts], [one["n"] for one in counts])


def differences_table(rows: Sequence[Row]) -> str:
    """Return by how much more often the Good-RM policy is right than SFT, on the same questions."""
    head = ("kind", *(f"{' '.join((decoding, which))}" for decoding in DECODINGS for which in ("difference", "counts")))
    lines = []
    for kind in rows[0]["kinds"][DECODINGS[0]]:
        line = [kind]
        for decoding in DECODINGS:
            pairs = [row["kinds"][decoding][kind]["pairs"] for row in rows]
            n = [row["kinds"][decoding][kind]["n"] for row in rows]
            gain = intervals.difference([one[1] for one in pairs], [one[2] for one in pairs], n)
            line += [_shown(gain, sign="+"), " / ".join(str(sum(one[i] for one in pairs)) for i in range(4))]
        lines.append(line)
    order = f"Counts: both right / only {PAIR[0]} / only the {PAIR[1]} / neither."
    return table(head, lines, f"{_method(rows, 'the interval of Agresti and Min for pairs')} {order}")


def figures_table(rows: Sequence[Row]) -> str:
    """Return gold reward, scores, KL, lengths of the four models, and the accuracies of both judges."""
    figures = [figures_of(row) for row in rows]
    parts = []
    for decoding in DECODINGS:
        lines = [
            [what, *(_spread(figures, f"{short}_{end.format(d=decoding)}") for short in MODELS.values())]
            for what, end in REPLIES.items()
        ]
        parts.append(table((decoding, *MODELS), lines))
    for title, ends in (("PPO", TRAINING), ("reward models", ACCURACIES)):
        lines = [
            [what, *(_spread(figures, f"{short}_{end}") for short in JUDGES.values())] for what, end in ends.items()
        ]
        parts.append(table((title, *JUDGES), lines))
    return "\n\n".join([*parts, f"Median and range over {len(rows)} seeds."])


def _spread(figures: Sequence[dict[str, float]], name: str) -> str:
    values = [one[name] for one in figures if name in one]
    return f"{median(values):.3g} ({min(values):.3g} … {max(values):.3g})" if values else "–"


def _shown(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def _method(rows: Sequence[Row], few: str) -> str:
    enough = len(rows) >= intervals.SEEDS_FOR_BOOTSTRAP
    return f"{len(rows)} seeds; 95%: {'percentile bootstrap over seeds' if enough else few}."


def table(head: Sequence[str], lines: Iterable[Sequence[str]], note: str = "") -> str:
    """Return a table in Markdown with a note below it."""
    rows = [head, ["---"] * len(head), *lines]
    text = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    return f"{text}\n\n{note}" if note else text


def with_tables(page: str, made: dict[str, str]) -> str:
    """Return the page's text with the tables between their lines.

    Raises:
        PageError: the lines of a table are missing.
    """
    for name, text in made.items():
        begin, end = BEGIN.format(name), END.format(name)
        if page.count(begin) != 1 or page.count(end) != 1:
            raise PageError(f"the lines {begin} and {end} have to enclose the table, once")
        head, _, rest = page.partition(begin)
        page = f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
    return page


def write_page(made: dict[str, str], path: Path = PAGE) -> bool:
    """Write the tables into the page, and return whether it changed.

    Raises:
        PageError: the lines of a table are missing; the page is left as it is.
    """
    before = path.read_text(encoding="utf-8")
    after = with_tables(before, made)
    if after != before:
        write_atomically(path, after)
    return after != before
