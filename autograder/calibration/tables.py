"""The tables of runs, one a stage: CSV, a line a run, added when the run ends."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from autograder.calibration import RUNS
from autograder.calibration.statistics import of_items
from autograder.training.outcome import Failure
from autograder.training.run import StageOutcome
from autograder.training.stage import Stage

ABOUT = ("subject", "seed", "key", "state", "device", "status", "seconds")
MEASURED = "measured"


class TableError(ValueError):
    """A table that cannot be read or added to; the message says what to do."""


def fields(stage: Stage) -> list[str]:
    """Columns of a stage's table. status: "measured", or why there was nothing to measure. state: hash of the code
    and data. Statistics are written whatever the bars are, and what today's code said of each item."""
    names = dict.fromkeys(one.name for one in of_items(stage.items))
    verdicts = [f"{item}.{what}" for item in stage.items for what in ("passed", "near")]
    return [*ABOUT, *names, *verdicts]


def table(stage: Stage, folder: Path = RUNS) -> Path:
    """Where a stage's runs are kept."""
    return folder / f"{stage.op}.csv"


def rows(stage: Stage, folder: Path = RUNS) -> list[dict[str, str]]:
    """All lines of a stage's table. Raises TableError unless it has today's columns in every line."""
    path = table(stage, folder)
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    heading, *lines = found or [[]]
    if heading != fields(stage):
        raise TableError(f"{path} has other columns than today's study: remove the file, its runs have to run again.")
    if any(len(one) != len(heading) for one in lines):
        raise TableError(f"{path} has a line that is not whole: remove that line.")
    return [dict(zip(heading, one, strict=True)) for one in lines]


def append(stage: Stage, row: Mapping[str, str], folder: Path = RUNS) -> None:
    """Add a line to a stage's table, under its heading, in one write: killed at any moment, the table is whole.
    Raises TableError where another heading stands there."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = table(stage, folder), io.StringIO()
    writer = csv.DictWriter(text, fields(stage), lineterminator="\n")
    if rows(stage, folder) == [] and not path.exists():
        writer.writeheader()
    writer.writerow(row)
    with path.open("ab", buffering=0) as file:
        file.write(text.getvalue().encode())


def line(stage: Stage, about: Mapping[str, str], found: StageOutcome) -> dict[str, str]:
    """A run as a line of its stage's table. about: the columns of ABOUT but the status."""
    row = dict.fromkeys(fields(stage), "") | dict(about)
    if isinstance(found, Failure):
        return row | {"status": found.status}
    for one in of_items(stage.items):
        row[one.name] = f"{one.read(found[one.item].evidence):.8g}"
    for item, outcome in found.items():
        row |= {f"{item}.passed": str(int(outcome.passed)), f"{item}.near": str(int(outcome.near))}
    return row | {"status": MEASURED}
