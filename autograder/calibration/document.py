"""docs/calibration.md: the figures, the margins and the error rates, written from the tables of runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from assignment.spec import Thresholds
from autograder.calibration.figure import draw_all
from autograder.calibration.findings import FALSE_ALARM, FALSE_PASS, Finding, chance_of_failing
from autograder.calibration.statistics import STATISTICS, Range, Statistic, tolerance_factor
from autograder.calibration.study import SEEDS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "calibration.md"
INTRODUCTION = f"""# Calibration of the training tests

Written by `rlhf-lab calibrate` from the tables in `autograder/calibration/runs/`; not edited by hand.

Each training test turns a run into a number and compares it with a bar of `assignment/assignment.toml`. Here is how
that number is distributed: over seeds (each with its own hidden data, house style and random numbers) for the
reference ({SEEDS["reference"]} seeds), for right solutions written in other ways ({SEEDS["variant"]} each) and for
near misses, wrong code that trains and has to fail ({SEEDS["near_miss"]} each).

Aims: right code fails in at most {FALSE_ALARM:.1%} of runs, a near miss passes in at most {FALSE_PASS:.0%}. Counts
alone cannot show that ({SEEDS["reference"]} clean runs only show a rate below 7.2%), so the tables give the distance
of the mean to the bar in standard deviations (SD), and the distance that a normal tolerance limit asks for (95%
confidence: {tolerance_factor(SEEDS["reference"], FALSE_ALARM):.2f} SD for {FALSE_ALARM:.1%} from
{SEEDS["reference"]} runs, {tolerance_factor(SEEDS["near_miss"], FALSE_PASS):.2f} SD for {FALSE_PASS:.0%} from
{SEEDS["near_miss"]}). Shapiro–Wilk's p says how far "normal" may be trusted. Hollow dots and rows marked "–" are
statistics that need not tell this subject: another statistic or the slot's own test does.
"""
TABLE = """| subject | n | mean | SD | range | passed | distance, SD | asked, SD | normality p | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def write(found: Sequence[Finding], bars: Thresholds, path: Path = DOCUMENT) -> None:
    """Write the document and its figures."""
    figures = draw_all(found, path.parent / "figures")
    parts = [INTRODUCTION, _errors(found, bars)]
    for statistic in STATISTICS:
        mine = [one for one in found if one.statistic == statistic]
        if mine:
            picture = figures[statistic].relative_to(path.parent).as_posix() if statistic in figures else ""
            parts.append(_section(statistic, mine, picture, bars))
    path.write_text("\n".join(parts), encoding="utf-8")


def bar_text(allowed: Range) -> str:
    """A bar in words, as the tables and the tests quote it."""
    low, high = allowed
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"


def _section(statistic: Statistic, found: Sequence[Finding], picture: str, bars: Thresholds) -> str:
    lines = [
        f"## `{statistic.item}`: {statistic.name}",
        "",
        f"{statistic.label[0].upper()}{statistic.label[1:]}. Bar: **{bar_text(statistic.allowed(bars))}**.",
        "",
        f"![{statistic.name}]({picture})",
        "",
        TABLE,
        *(_row(one) for one in found),
        "",
    ]
    return "\n".join(lines)


def _row(one: Finding) -> str:
    m = one.margin
    if m is None:
        return f"| {one.subject.title} | {one.n} | no weights came back | | | {one.passed} | | | | {_verdict(one)} |"
    asked = "–" if one.must == "any" else f"{tolerance_factor(m.n, one.error):.1f}" if m.n > 1 else "–"
    normal = "–" if m.normal_p is None else f"{m.normal_p:.2f}"
    spread = f"{min(one.values):.3g} … {max(one.values):.3g}"
    distance = "–" if one.must == "any" or math.isnan(m.distance) else f"{m.distance:.1f}"
    return (
        f"| {one.subject.title} | {one.n} | {m.mean:.3g} | {m.deviation:.2g} | {spread} | {one.passed} "
        f"| {distance} | {asked} | {normal} | {_verdict(one)} |"
    )


def _verdict(one: Finding) -> str:
    if one.must == "any":
        return "–"
    if one.mistakes:
        return f"**{one.mistakes} judged wrongly**"
    return "holds" if one.holds else "all judged rightly; margin short of the aim"


def _errors(found: Sequence[Finding], bars: Thresholds) -> str:
    lines = [
        "## Error rates",
        "",
        "Wrong verdicts of first runs, with the upper end (95%) that the counts alone allow; and for right code the",
        "chance of failing from a normal fit to the reference's runs, the rule of two fresh seeds included.",
        "",
        "| item | right code: failed first runs | at most | fitted chance of failing | near misses: passed | at most |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for item in dict.fromkeys(one.statistic.item for one in found):
        lines.append(_error_row(item, [one for one in found if one.statistic.item == item], bars))
    return "\n".join([*lines, ""])


def _error_row(item: str, found: Sequence[Finding], bars: Thresholds) -> str:
    from autograder.calibration.statistics import error_upper_bound

    first = found[0].statistic
    right = [one for one in found if one.must == "pass" and one.statistic == first]
    wrong = [one for one in found if one.must == "fail"]
    fails, n = sum(one.mistakes for one in right), sum(one.n for one in right)
    passes, m = sum(one.mistakes for one in wrong), sum(one.n for one in wrong)
    fitted = [
        chance_of_failing(one.values, one.allowed, one.statistic.near(bars))
        for one in found
        if one.subject.kind == "reference" and len(one.values) > 2
    ]
    return (
        f"| `{item}` | {fails} of {n} | {error_upper_bound(fails, n):.1%} | "
        f"{'–' if not fitted else f'{max(fitted):.1g}'} | {passes} of {m} | "
        f"{'–' if not m else f'{error_upper_bound(passes, m):.1%}'} |"
    )
