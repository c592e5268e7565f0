"""Make the rows of the table that the command prints, one for each thing that a change of a slot can make stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tests.matrix.store import Store
from tests.support.sources import ROOT

State = Literal["renewed", "current", "by hand"]
STYLES: dict[State, str] = {"current": "dim", "renewed": "green", "by hand": "red"}
PASSED = ROOT / "dist" / "refresh"  # the checks that passed, by a hash of what they checked


@dataclass(frozen=True)
class Row:
    """One row. what: a file, folder or list. detail: what was done, or what a person has to do."""

    what: str
    state: State
    detail: str = ""


def checked(what: str, key: str, problems: Callable[[], Sequence[str]], well: str) -> list[Row]:
    """Make the rows of a long check, which is not repeated if it passed before with the same key."""
    store = Store(PASSED)
    if store.get(key):
        return [Row(what, "current", well)]
    found = problems()
    if not found:
        store.put(key, True)
    return rows(what, found, well)


def name_of(path: Path) -> str:
    """Return a path relative to the repository; a folder ends with a slash."""
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{name.as_posix()}/" if path.is_dir() else name.as_posix()


def rows(what: str, problems: Sequence[str], well: str = "") -> list[Row]:
    """Make a row for each problem, or one row with the text `well` if there is none."""
    return [Row(what, "by hand", problem) for problem in problems] or [Row(what, "current", well)]


def table(found: Sequence[Row]) -> Table:
    """Make the table, with the rows last that a person has to work on."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("state", no_wrap=True)
    shown.add_column("what", overflow="fold")
    shown.add_column("what was done, or what to do", overflow="fold")
    for row in sorted(found, key=lambda row: list(STYLES).index(row.state)):
        shown.add_row(Text(row.state, STYLES[row.state]), Text(row.what), Text(row.detail))
    return shown


def verdict(found: Sequence[Row], seconds: float) -> str:
    """Write the last line."""
    counts = {state: sum(row.state == state for row in found) for state in STYLES}
    if counts["by hand"]:
        text = f"{counts['renewed']} renewed, {counts['by hand']} left for you to do by hand"
    elif counts["renewed"]:
        text = f"{counts['renewed']} renewed, nothing left to do by hand: look at `git diff` and commit"
    else:
        text = "nothing is stale"
    return f"{text} ({seconds:.0f} s)"
