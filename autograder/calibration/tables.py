"""The tables of runs: one CSV file a stage, with one line a run, which is added when the run ends."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from autograder.calibration import RUNS
from autograder.calibration.statistics import of_items
from autograder.training.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autograder.training.run import StageOutcome
    from autograder.training.stage import Stage

ABOUT = ("subject", "seed", "key", "state", "device", "status", "seconds")
MEASURED = "measured"


class TableError(ValueError):
    """A malformed table; the message says what to do."""


def fields(stage: Stage) -> list[str]:
    """Return the columns of a stage's table: ABOUT, the statistics, and the verdicts of the code that ran. status:
    "measured", or why there was nothing to measure. state: hash of code and data. `<item>.near`: whether the item
    failed by no more than the retry margin."""
    names = dict.fromkeys(one.name for one in of_items(stage.items))
    verdicts = [f"{item}.{what}" for item in stage.items for what in ("passed", "near")]
    return [*ABOUT, *names, *verdicts]


def table(stage: Stage, folder: Path = RUNS) -> Path:
    """Return the file of a stage's table."""
    return folder / f"{stage.op}.csv"


def rows(stage: Stage, folder: Path = RUNS) -> list[dict[str, str]]:
    """Read all lines of a stage's table.

    Raises:
        TableError: the table has other columns than today's study, or a line is incomplete.
    """
    path = table(stage, folder)
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    heading, *lines = found or [[]]
    if heading != fields(stage):
        raise TableError(f"{path} has other columns than today's study: remove the file; its runs have to be repeated.")
    if any(len(one) != len(heading) for one in lines):
        raise TableError(f"{path} has an incomplete line: remove that line.")
    return [dict(zip(heading, one, strict=True)) for one in lines]


def append(stage: Stage, row: Mapping[str, str], folder: Path = RUNS) -> None:
    """Add a line to a stage's table in one write, so that the table stays whole if the process is killed.

    Raises:
        TableError: the table is malformed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, text = table(stage, folder), io.StringIO()
    writer = csv.DictWriter(text, fields(stage), lineterminator="\n")
    if rows(stage, folder) == [] and not path.exists():
        writer.writeheader()
    writer.writerow(row)
    with path.open("ab", buffering=0) as file:
        file.write(text.getvalue().encode())


def line(stage: Stage, about: Mapping[str, str], found: StageOutcome) -> dict[str, str]:
    """Return a run as a line of its stage's table. about: the columns of ABOUT except the status."""
    row = dict.fromkeys(fields(stage), "") | dict(about)
    if isinstance(found, Failure):
        return row | {"status": found.status}
    for one in of_items(stage.items):
        row[one.name] = f"{one.read(found[one.item].evidence):.8g}"
    for item, outcome in found.items():
        row |= {f"{item}.passed": str(int(outcome.passed)), f"{item}.near": str(int(outcome.close))}
    return row | {"status": MEASURED}
