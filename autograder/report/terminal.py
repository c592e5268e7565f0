"""Print the rubric table and the verdict on the terminal.

All text of a submission passes through `one_line`, and no text is read as markup of rich, so that a file name or a
message cannot move the cursor, set a title or colour a score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from assignment.console import make_console
from autograder.core.messages import PENDING, STATUS, Tone, met_text, outcome, reasons, seen_part
from autograder.core.rubric import not_run, pending_points
from autograder.core.text import one_line, points

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.core.records import Graded, GradedItem, Grading, Submission

STYLES: dict[Tone, str] = {"good": "green", "mixed": "yellow", "bad": "red", "quiet": "dim", "open": "blue"}
NOTE_WIDTH = 60


def print_rubric(grading: Grading, console: Console | None = None) -> None:
    """Print the rubric table, the success criteria and the verdict."""
    graded, run, spec = grading.graded, grading.run, grading.spec
    console = console or make_console()
    console.print(rubric_table(graded, grading.submission))
    console.print(success_table(graded))
    missing = not_run(spec, graded)
    if missing:
        console.print(Text(f"Not graded in this run: {', '.join(item.id for item in missing)}", "blue"))
    verdict, tone = outcome(graded)
    waits = f", {points(graded.pending)} pending" if graded.pending else ""
    line = Text(f"{points(graded.score)} / {points(graded.max_score)}{waits} · ", "bold")
    line.append(verdict, f"bold {STYLES[tone]}")
    console.print(line)
    console.print(
        Text(
            f"{reasons(graded, spec.pass_mark)} · seed {run.seed}, profile {run.profile}, "
            f"{run.device}, sandbox {run.sandbox_tier}, {run.duration_s:.0f} s",
            "dim",
        )
    )


def rubric_table(graded: Graded, submission: Submission) -> Table:
    """One row per criterion (bold), and one per item: its id, status, points, and what went wrong."""
    name = Text(one_line(submission.name, 80))
    table = Table(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("item", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold", max_width=NOTE_WIDTH)
    for criterion in graded.criteria:
        pending = pending_points(criterion)
        table.add_row(
            Text(criterion.title, "bold"),
            Text(f"{points(pending)} pending" if pending else "", "blue"),
            Text(f"{points(criterion.points)} / {points(criterion.max_points)}", "bold"),
            Text(""),
        )
        for item in criterion.items:
            status = STATUS[item.result.status]
            table.add_row(
                Text(f"  {item.result.id}"),
                Text(status.label, STYLES[status.tone]),
                Text(_points(item)),
                Text(_note(item), "dim"),
            )
    return table


def success_table(graded: Graded) -> Table:
    """The success criteria: measured value, threshold, met or not."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("success criterion", "measured", "threshold", "met"):
        table.add_column(heading)
    for criterion in graded.success_criteria:
        label, tone = met_text(criterion.met)
        table.add_row(
            Text(criterion.id),
            Text(one_line(criterion.value)),
            Text(one_line(criterion.threshold)),
            Text(label, STYLES[tone]),
        )
    return table


def _points(item: GradedItem) -> str:
    earned = "–" if item.result.status in PENDING else points(item.points)
    return f"{earned} / {points(item.max_points)}"


def _note(item: GradedItem) -> str:
    if item.result.status == "passed":
        return ""
    return one_line((item.result.misconception or {}).get("name") or seen_part(item.result.message), 160)
