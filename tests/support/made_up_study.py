"""A made-up study: tables of rows that nobody ran, with the right verdicts unless a test asks for wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from assignment.registry import Thresholds, load_spec
from autograder.calibration import study, tables
from autograder.calibration.statistics import Statistic, of_items
from autograder.calibration.subjects import Subject, subjects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SPEC = load_spec()

FAR = 8.0  # standard deviations between the made-up mean and the threshold
GOLDEN = 0.618


def values(statistic: Statistic, subject: Subject, n: int, thresholds: Thresholds) -> list[float]:
    """Make up n numbers that are normal on the statistic's scale and inside the range, or outside if the subject has to
    fail by this statistic. Their order does not depend on the seed."""
    low, high = (None if end is None else statistic.scale.apply(end) for end in statistic.allowed(thresholds))
    end = high if low is None else low
    assert end is not None
    unit = (high - low) / (4 * FAR) if low is not None and high is not None else abs(end) / (4 * FAR) or 0.1
    inward = -1.0 if low is None else 1.0
    outside = subject.fails.get(statistic.item) == statistic.name
    centre = end + (-inward if outside else inward) * FAR * unit
    grid = stats.norm.ppf((np.argsort(np.arange(n) * GOLDEN % 1) + 0.5) / n)
    return [statistic.scale.back(float(x)) for x in centre + unit * grid]


def write(folder: Path, thresholds: Thresholds, wrong: Mapping[str, str] = {}) -> None:
    """Write all tables. wrong: subject -> how its first run differs: "turned" for the opposite verdict, or a status of
    a run without weights."""
    for subject in subjects(SPEC):
        n = study.SEEDS[subject.kind]
        columns = {(one.item, one.name): values(one, subject, n, thresholds) for one in of_items(subject.stage.items)}
        for i in range(n):
            row = dict.fromkeys(tables.fields(subject.stage), "")
            row |= {"subject": subject.id, "seed": str(study.FIRST_SEED + i), "key": f"{subject.id} {i}",
                    "state": "made up", "device": "cpu", "status": tables.MEASURED, "seconds": "30.0"}  # fmt: skip
            row |= {name: f"{numbers[i]:.8g}" for (_, name), numbers in columns.items()}
            how = wrong.get(f"{subject.stage.op} {subject.id}") if i == 0 else None
            for one in of_items(subject.stage.items) if how == "turned" else ():
                if one.name in subject.fails.values() or subject.kind != "near_miss":
                    row[one.name] = f"{2 * end_of(one, thresholds) - float(row[one.name]):.8g}"
            if how not in (None, "turned"):
                row["status"] = how
            for item in subject.stage.items:
                inside = all(one.inside(float(row[one.name]), thresholds) for one in of_items((item,)))
                row |= {f"{item}.passed": str(int(inside)), f"{item}.near": "0"}
            tables.append(subject.stage, row, folder)


def end_of(statistic: Statistic, thresholds: Thresholds) -> float:
    """Return the end of the range next to which the made-up numbers lie."""
    low, high = statistic.allowed(thresholds)
    return (high if low is None else low) or 0.0
