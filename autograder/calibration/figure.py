"""The figures of the study: one for each statistic, with a dot for each run and dashed lines at the thresholds."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

from assignment.files import write_atomically
from autograder.calibration.statistics import RECIPROCAL, STATISTICS, Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autograder.calibration.findings import Finding

COLOURS = {"reference": "#1f4e79", "variant": "#2a9d8f", "near_miss": "#c1440e"}
ROW_INCHES, WIDTH_INCHES, TITLE_CHARACTERS = 0.34, 8.5, 44


def figure_name(statistic: Statistic) -> str:
    """Return the file name of a statistic's figure."""
    return f"calibration-{statistic.item}-{statistic.name}.svg".replace("_", "-")


def draw(found: Sequence[Finding], statistic: Statistic, path: Path) -> None:
    """Draw one figure as SVG: the same findings give the same bytes. Without any weights it has no dots."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    mine = [one for one in found if one.statistic == statistic and one.values]
    with plt.rc_context({"svg.hashsalt": statistic.name, "font.size": 9}):
        figure, axes = plt.subplots(figsize=(WIDTH_INCHES, 1.3 + ROW_INCHES * len(mine)), layout="constrained")
        for row, one in enumerate(mine):
            jitter = np.linspace(-0.25, 0.25, len(one.values)) if len(one.values) > 1 else [0.0]
            filled = one.must != "any"
            colour = COLOURS[one.subject.kind]
            axes.scatter(one.values, row + np.asarray(jitter), s=14, facecolors=colour if filled else "none",
                         edgecolors=colour, linewidths=0.8)  # fmt: skip
        ends = [end for end in (mine[0].allowed if mine else ()) if end is not None]
        for end in ends:
            axes.axvline(end, color="black", linewidth=1, linestyle="--")
        if statistic.scale is RECIPROCAL:  # values over several powers of ten, and 0 where nothing was trained
            axes.set_xscale("symlog", linthresh=min(ends) / 10)
            axes.set_xlim(-min(ends) / 20, 1.5 * max(max(one.values) for one in mine))
        axes.set_yticks(range(len(mine)), [textwrap.fill(one.subject.title, TITLE_CHARACTERS) for one in mine])
        axes.invert_yaxis()
        axes.set_xlabel(statistic.label)
        axes.set_title(f"{statistic.item}: {statistic.name}", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        write_atomically(path, drawn.getvalue())
        plt.close(figure)


def draw_all(found: Sequence[Finding], folder: Path) -> None:
    """Draw a figure for every statistic that has findings."""
    for statistic in STATISTICS:
        if any(one.statistic == statistic for one in found):
            draw(found, statistic, folder / figure_name(statistic))
