"""Write docs/calibration.md from the tables of runs: figures, margins and error rates."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assignment.files import write_atomically
from autograder.calibration import DOCUMENT
from autograder.calibration.figure import draw_all, figure_name
from autograder.calibration.findings import FALSE_ALARM, FALSE_PASS, FIRST_MISS, Finding, Rows
from autograder.calibration.margins import CONFIDENCE, NORMAL_P_MIN, Range, error_upper_bound, tolerance_factor
from autograder.calibration.rates import chance_of_failing, chance_of_passing
from autograder.calibration.statistics import STATISTICS, Statistic
from autograder.calibration.study import SEEDS, runs_wanted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from assignment.registry import Spec
    from autograder.calibration.subjects import Subject

FIGURES = "figures"
RATE_LEAST = 1e-6  # smaller rates are not shown: a fit to 40 runs says nothing about them
INTRODUCTION = f"""# Calibration of the training tests

`rlhf-lab calibrate` writes this page from the tables in `autograder/calibration/runs/`. Do not edit it by hand.

Each training test turns a run into numbers, its statistics, and compares each of them with a threshold of the registry.
An item passes if all its statistics do. This page shows the statistics over seeds, each of which has its own hidden
data, house style and random numbers: for the reference ({SEEDS["reference"]} seeds), for correct solutions that are
written in other ways ({SEEDS["variant"]} each), and for wrong solutions that almost pass: they train, and have to fail
({SEEDS["near_miss"]} each).

The targets: correct code fails in at most {FALSE_ALARM:.1%} of runs, and a wrong solution passes in at most
{FALSE_PASS:.0%}. Counts alone cannot show this: {SEEDS["reference"]} runs without a failure only show a rate below
{error_upper_bound(0, SEEDS["reference"]):.1%}. So the tables give the distance of the mean to the threshold in standard
deviations (SD), and the distance that a normal tolerance limit requires ({CONFIDENCE:.0%} confidence:
{tolerance_factor(SEEDS["reference"], FALSE_ALARM):.2f} SD for {FALSE_ALARM:.1%} from {SEEDS["reference"]} runs,
{tolerance_factor(SEEDS["near_miss"], FALSE_PASS):.2f} SD for {FALSE_PASS:.0%} from {SEEDS["near_miss"]}). If the
p-value of Shapiro–Wilk's test is below {NORMAL_P_MIN:g}, the runs are not normal, and the row says so. Then the
distance has to be so large that no distribution with this mean and SD exceeds the rate (Cantelli's inequality); if it
is not, only the counts remain.

A row that "holds with fresh seeds" has the distance to the threshold that {FIRST_MISS:.0%} requires, and the distance
that {FALSE_ALARM:.1%} requires to the threshold widened by the retry margin, within which fresh seeds decide.

By which statistic a wrong solution is expected to fail was written into `subjects.toml` before the runs, with these
exceptions. The exchange of answers and the losses on prompts and padding were added after a first look at one to three
seeds (docs/decisions.md). The reward model with the kit's gold rules was added after one such run had passed. Hollow
dots, and rows marked "–", are statistics that are not expected to fail.

Three statistics have a long tail. Their distances and the check of normality use a rising function of them, which was
chosen after the runs and is named in the section. {SEEDS["variant"]} runs require
{tolerance_factor(SEEDS["variant"], FALSE_ALARM):.1f} SD, which most correct code does not reach. They show that a
variant lies where the reference does, and the reference's distance counts.
"""
TABLE = """| subject | n | mean | SD | range | item passed | distance, SD | required, SD | normality p | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
ERRORS = """## Error rates

Counted: wrong verdicts of first runs, with the upper bound ({confidence:.0%}) from the counts alone. P: upper bounds on
the chance of a wrong final verdict, from the fits above. They include the rule of {fresh} fresh seeds: a first run that
misses by no more than the retry margin is decided by the majority. For correct code the chances of all statistics of
the item are added. For wrong code the named statistic alone counts, of the worst subject of the item, and fresh seeds
are granted as to code whose slots all passed.

| item | correct: failed | at most | P(fail, correct code) | wrong: passed | at most | P(pass, wrong code) | of |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
UNDETECTED = """## What the training tests do not detect

Wrong code that trains well enough to pass. It still costs the points of its own slot:
"""
COSTS = """## How long a seed takes

| stage | subject | runs | mean seconds |
| --- | --- | --- | --- |"""
STATES = """## The runs

The state of a stage is a hash of its code, data and configs. Comments, docstrings and thresholds are not part of it.
{old} of these {n} runs belong to older code, data or configs than today's.

| stage | state | device | runs | planned |
| --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Study:
    """The runs so far. runs: each subject with its rows. old: how many rows are of older code, data or configs."""

    runs: Sequence[tuple[Subject, Rows]]
    old: int
    spec: Spec


def write(found: Sequence[Finding], study: Study, path: Path = DOCUMENT) -> None:
    """Write the document and its figures."""
    draw_all(found, path.parent / FIGURES)
    write_atomically(path, text(found, study))


def text(found: Sequence[Finding], study: Study) -> str:
    """Return the document. It is a function of the tables, the registry and the number of runs of older code."""
    parts = [INTRODUCTION, _errors(found, study.spec.rerun.seeds), *_undetected(found)]
    for statistic in STATISTICS:
        mine = [one for one in found if one.statistic == statistic]
        if mine:
            parts.append(_section(statistic, mine))
    return "\n".join([*parts, _costs(found), _states(study)])


def range_text(allowed: Range) -> str:
    """Return the range that passes in words, as the sections quote it."""
    low, high = allowed
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"


def _section(statistic: Statistic, found: Sequence[Finding]) -> str:
    label, required = f"{statistic.label[0].upper()}{statistic.label[1:]}", range_text(found[0].allowed)
    lines = [
        f"## `{statistic.item}`: {statistic.name}",
        "",
        f"{label}. Threshold: **{required}**.{_scaled(statistic)}",
        "",
        f"![{statistic.item}: {statistic.name}]({FIGURES}/{figure_name(statistic)})",
        "",
        TABLE,
        *(_row(one) for one in found),
        "",
    ]
    return "\n".join(lines)


def _scaled(statistic: Statistic) -> str:
    words = statistic.scale.words
    return f" Distance and normality are those of {words}." if words else ""


def _row(one: Finding) -> str:
    m = one.margin
    if m is None:
        return f"| {one.subject.title} | {one.n} | no weights came back | | | {one.passed} | | | | {_verdict(one)} |"
    decides = one.must != "any"
    required = f"{tolerance_factor(m.n, one.error):.1f}" if decides and m.n > 1 else "–"
    deviation = f"{np.std(one.values, ddof=1):.2g}" if m.n > 1 else "–"
    normal = "–" if m.normal_p is None else f"{m.normal_p:.2g}"
    spread = f"{min(one.values):.3g} … {max(one.values):.3g}"
    distance = f"{m.distance:.1f}" if decides and not math.isnan(m.distance) else "–"
    return (
        f"| {one.subject.title} | {one.n} | {np.mean(one.values):.3g} | {deviation} | {spread} | {one.passed} "
        f"| {distance} | {required} | {normal} | {_verdict(one)} |"
    )


def _verdict(one: Finding) -> str:
    if one.must == "any":
        return "–"
    if one.wrong_verdicts:
        return f"**wrong verdicts: {one.wrong_verdicts}**"
    doubt = "" if one.margin is None or one.margin.normal else "not normal; "
    if one.holds:
        return f"{doubt}holds"
    if one.holds_with_fresh_seeds and one.widened_margin is not None:
        return f"{doubt}holds with fresh seeds: {one.widened_margin.distance:.1f} SD to the widened threshold"
    return f"{doubt}no wrong verdict; by counts at most {error_upper_bound(0, one.n):.1%}"


def _errors(found: Sequence[Finding], fresh: int) -> str:
    heading = ERRORS.format(confidence=CONFIDENCE, fresh=fresh)
    items = dict.fromkeys(one.statistic.item for one in found)
    rows = [_error_row(item, [one for one in found if one.statistic.item == item], fresh) for item in items]
    return "\n".join([heading, *rows, ""])


def _error_row(item: str, found: Sequence[Finding], fresh: int) -> str:
    first = found[0].statistic  # verdicts are of items: they are counted once, not once a statistic
    right = [one for one in found if one.must == "pass" and one.statistic == first]
    wrong = [one for one in found if one.must == "fail"]
    reference = [one for one in found if one.subject.kind == "reference"]
    fitted = _rate(chance_of_failing(reference, fresh)) if reference else "–"
    passing = {one.subject.title: chance_of_passing(one, fresh) for one in wrong}
    worst = max(passing, key=passing.__getitem__, default="–")
    return (
        f"| `{item}` | {_counted(right)} | {fitted} | {_counted(wrong)} "
        f"| {_rate(passing[worst]) if passing else '–'} | {worst} |"
    )


def _rate(chance: float) -> str:
    return f"{chance:.2g}" if chance >= RATE_LEAST else f"< {RATE_LEAST:g}"


def _counted(found: Sequence[Finding]) -> str:
    wrong, n = sum(one.wrong_verdicts for one in found), sum(one.n for one in found)
    return f"{wrong} of {n} | {error_upper_bound(wrong, n):.1%}" if n else "– | –"


def _undetected(found: Sequence[Finding]) -> list[str]:
    undetected = {one.subject.id: one for one in found if one.subject.kind == "near_miss" and not one.subject.fails}
    lines = [f"- {x.subject.title}: {x.passed} of {x.n} runs passed. {x.subject.note}" for x in undetected.values()]
    return [UNDETECTED + "\n" + "\n".join(lines) + "\n"] if lines else []


def _costs(found: Sequence[Finding]) -> str:
    first = {(one.subject.stage.op, one.subject.id): one for one in found}
    lines = [f"| `{op}` | {one.subject.title} | {one.n} | {one.seconds:.0f} |" for (op, _), one in first.items()]
    hours = sum(one.seconds * one.n for one in first.values()) / 3600
    return "\n".join([COSTS, *lines, "", f"In all {hours:.1f} hours, summed over the workers.", ""])


def _states(study: Study) -> str:
    counts = Counter((s.stage.op, row["state"], row["device"]) for s, some in study.runs for row in some)
    lines = [
        f"| `{op}` | `{state}` | {device} | {n} | {runs_wanted(study.spec, op)} |"
        for (op, state, device), n in counts.items()
    ]
    return "\n".join([STATES.format(old=study.old, n=counts.total()), *lines, ""])
