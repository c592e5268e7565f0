"""docs/calibration.md: the figures, the margins and the error rates, written from the tables of runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assignment.files import write_atomically
from assignment.registry import Spec
from autograder.calibration import DOCUMENT
from autograder.calibration.figure import draw_all, figure_name
from autograder.calibration.findings import FALSE_ALARM, FALSE_PASS, FIRST_MISS, Finding, Rows
from autograder.calibration.margins import CONFIDENCE, NORMAL_P_MIN, Range, error_upper_bound, tolerance_factor
from autograder.calibration.rates import chance_of_failing, chance_of_passing
from autograder.calibration.statistics import STATISTICS, Statistic
from autograder.calibration.study import SEEDS, runs_wanted
from autograder.calibration.subjects import Subject

FIGURES = "figures"
RATE_LEAST = 1e-6  # no fit to 40 runs says anything about rarer things
INTRODUCTION = f"""# Calibration of the training tests

Written by `rlhf-lab calibrate` from the tables in `autograder/calibration/runs/`; not edited by hand.

Each training test turns a run into numbers and compares each with a bar of the registry; an item passes
if all its numbers do. Here is how they are distributed: over seeds (each with its own hidden data, house style and
random numbers) for the reference ({SEEDS["reference"]} seeds), for right solutions written in other ways
({SEEDS["variant"]} each) and for near misses, wrong code that trains and has to fail ({SEEDS["near_miss"]} each).

Aims: right code fails in at most {FALSE_ALARM:.1%} of runs, a near miss passes in at most {FALSE_PASS:.0%}. Counts
alone cannot show that ({SEEDS["reference"]} clean runs only show a rate below
{error_upper_bound(0, SEEDS["reference"]):.1%}), so the tables give the distance of the mean to the bar in standard
deviations (SD), and the distance that a normal tolerance limit asks for ({CONFIDENCE:.0%} confidence:
{tolerance_factor(SEEDS["reference"], FALSE_ALARM):.2f} SD for {FALSE_ALARM:.1%} from {SEEDS["reference"]} runs,
{tolerance_factor(SEEDS["near_miss"], FALSE_PASS):.2f} SD for {FALSE_PASS:.0%} from {SEEDS["near_miss"]}). Where
Shapiro–Wilk's p is below {NORMAL_P_MIN:g} the runs are not normal, and the row says so: there the distance has to be
so large that no distribution with this mean and SD exceeds the rate (Cantelli's inequality), or else the counts are
all there is. A row that holds with fresh seeds keeps what {FIRST_MISS:.0%} ask for from the bar, and what
{FALSE_ALARM:.1%} ask for from the bar widened by `near`, up to which fresh seeds decide. Which statistic has to tell a
near miss was written into `subjects.toml` before the runs; the exchange of answers and what is learned of prompts and
padding came after a first look at one to three seeds (docs/decisions.md), the model by own labels after it had passed.
Hollow dots and rows marked "–" are the statistics that need not. Three statistics have a long tail: their margins and
the check of normality are those of a rising function of them, which was chosen after the runs and is named in the
section. {SEEDS["variant"]} runs ask for {tolerance_factor(SEEDS["variant"], FALSE_ALARM):.1f} SD, more than most
right code has: they show that a variant lies where the reference does, whose distance counts.
"""
TABLE = """| subject | n | mean | SD | range | item passed | distance, SD | asked, SD | normality p | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
ERRORS = """## Error rates

Wrong verdicts of first runs, with the upper end ({confidence:.0%}) that the counts alone allow, and upper bounds of the
final verdict's chances from the fits above. The rule of {fresh} fresh seeds is in both: a first run that misses by no
more than `near` is decided by the majority. Right code: the chances of all statistics of the item are added up. Near
misses: by the named statistic alone, the worst subject of each item; fresh seeds are granted to it as to code whose
slots all passed.

| item | right: failed | at most | P(fail, right code) | near misses: passed | at most | P(pass, near miss) | of |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
UNTOLD = """## What the training tests do not tell

Wrong code that trains well enough to pass. It costs its own slot's points all the same:
"""
COSTS = """## How long a seed takes

| stage | subject | runs | mean seconds |
| --- | --- | --- | --- |"""
STATES = """## The runs

Code, data and configs of a stage have a hash, its state: comments, docstrings and bars do not count.
{old} of these {n} runs belong to older code, data or configs than today's.

| stage | state | device | runs | asked for |
| --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Study:
    """The runs as they stand: each subject with its rows, how many rows are of older code, data or configs, and the
    registry."""

    runs: Sequence[tuple[Subject, Rows]]
    old: int
    spec: Spec


def write(found: Sequence[Finding], study: Study, path: Path = DOCUMENT) -> None:
    """Write the document and its figures."""
    draw_all(found, path.parent / FIGURES)
    write_atomically(path, text(found, study))


def text(found: Sequence[Finding], study: Study) -> str:
    """The document, a function of the tables, the registry and the number of runs of older code."""
    parts = [INTRODUCTION, _errors(found, study.spec.rerun.seeds), *_untold(found)]
    for statistic in STATISTICS:
        mine = [one for one in found if one.statistic == statistic]
        if mine:
            parts.append(_section(statistic, mine))
    return "\n".join([*parts, _costs(found), _states(study)])


def bar_text(allowed: Range) -> str:
    """A bar in words, as the tables and the tests quote it."""
    low, high = allowed
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"


def _section(statistic: Statistic, found: Sequence[Finding]) -> str:
    label, bar = f"{statistic.label[0].upper()}{statistic.label[1:]}", bar_text(found[0].allowed)
    lines = [
        f"## `{statistic.item}`: {statistic.name}",
        "",
        f"{label}. Bar: **{bar}**.{_scaled(statistic)}",
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
    judged = one.must != "any"
    asked_for = f"{tolerance_factor(m.n, one.error):.1f}" if judged and m.n > 1 else "–"
    deviation = f"{np.std(one.values, ddof=1):.2g}" if m.n > 1 else "–"
    normal = "–" if m.normal_p is None else f"{m.normal_p:.2g}"
    spread = f"{min(one.values):.3g} … {max(one.values):.3g}"
    distance = f"{m.distance:.1f}" if judged and not math.isnan(m.distance) else "–"
    return (
        f"| {one.subject.title} | {one.n} | {np.mean(one.values):.3g} | {deviation} | {spread} | {one.passed} "
        f"| {distance} | {asked_for} | {normal} | {_verdict(one)} |"
    )


def _verdict(one: Finding) -> str:
    if one.must == "any":
        return "–"
    if one.mistakes:
        return f"**{one.mistakes} judged wrongly**"
    doubt = "" if one.margin is None or one.margin.normal else "not normal; "
    if one.holds:
        return f"{doubt}holds"
    if one.holds_with_fresh_seeds and one.final is not None:
        return f"{doubt}holds with fresh seeds: {one.final.distance:.1f} SD to where they end"
    return f"{doubt}all judged rightly; by counts at most {error_upper_bound(0, one.n):.1%}"


def _errors(found: Sequence[Finding], fresh: int) -> str:
    heading = ERRORS.format(confidence=CONFIDENCE, fresh=fresh)
    items = dict.fromkeys(one.statistic.item for one in found)
    rows = [_error_row(item, [one for one in found if one.statistic.item == item], fresh) for item in items]
    return "\n".join([heading, *rows, ""])


def _error_row(item: str, found: Sequence[Finding], fresh: int) -> str:
    first = found[0].statistic  # verdicts are an item's: of its statistics one is enough to count them
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
    mistakes, n = sum(one.mistakes for one in found), sum(one.n for one in found)
    return f"{mistakes} of {n} | {error_upper_bound(mistakes, n):.1%}" if n else "– | –"


def _untold(found: Sequence[Finding]) -> list[str]:
    silent = {one.subject.id: one for one in found if one.subject.kind == "near_miss" and not one.subject.fails}
    lines = [f"- {x.subject.title}: {x.passed} of {x.n} runs passed. {x.subject.note}" for x in silent.values()]
    return [UNTOLD + "\n" + "\n".join(lines) + "\n"] if lines else []


def _costs(found: Sequence[Finding]) -> str:
    first = {(one.subject.stage.op, one.subject.id): one for one in found}
    lines = [f"| `{op}` | {one.subject.title} | {one.n} | {one.seconds:.0f} |" for (op, _), one in first.items()]
    hours = sum(one.seconds * one.n for one in first.values()) / 3600
    return "\n".join([COSTS, *lines, "", f"In all {hours:.1f} hours, by the clock of each lane.", ""])


def _states(study: Study) -> str:
    counts = Counter((s.stage.op, row["state"], row["device"]) for s, some in study.runs for row in some)
    lines = [
        f"| `{op}` | `{state}` | {device} | {n} | {runs_wanted(study.spec, op)} |"
        for (op, state, device), n in counts.items()
    ]
    return "\n".join([STATES.format(old=study.old, n=counts.total()), *lines, ""])
