"""The terminal: the rubric table, and progress while a submission is graded.

Everything that a submission made passes through `one_line`, and no text is read as rich markup, so
that a file name or a message can neither move the cursor nor set a title nor colour a score. Piped
output is plain text without boxes that change width.
"""

from __future__ import annotations

import io
import sys
import time
from types import TracebackType
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from assignment.registry import Spec
from autograder.core.messages import PENDING, STATUS, Tone, met_text, outcome, reasons, seen_in
from autograder.core.records import Graded, GradedItem, Run, Submission
from autograder.core.rubric import not_run, pending_points
from autograder.core.text import one_line, points

STYLES: dict[Tone, str] = {"good": "green", "mixed": "yellow", "bad": "red", "quiet": "dim", "open": "blue"}
PIPED_WIDTH = 120  # columns when nobody says how wide the terminal is
NOTE_WIDTH = 60


def print_rubric(
    graded: Graded, submission: Submission, run: Run, spec: Spec, console: Console | None = None
) -> None:
    """The rubric table, the success criteria and the verdict."""
    console = console or make_console()
    console.print(rubric_table(graded, submission))
    console.print(success_table(graded, spec))
    missing = not_run(spec, graded)
    if missing:
        console.print(Text(f"Not graded in this run: {', '.join(item.id for item in missing)}", "blue"))
    verdict, tone = outcome(graded)
    waits = f", {points(graded.pending)} pending" if graded.pending else ""
    line = Text(f"{points(graded.score)} / {points(graded.max_score)}{waits} · ", "bold")
    line.append(verdict, f"bold {STYLES[tone]}")
    console.print(line)
    console.print(Text(f"{reasons(graded, spec.pass_mark)} · seed {run.seed}, profile {run.profile}, "
                       f"{run.device}, sandbox {run.sandbox_tier}, {run.duration_s:.0f} s", "dim"))


def make_console(stderr: bool = False) -> Console:
    """A console as wide as the terminal, or PIPED_WIDTH columns without colours when piped."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # an ASCII locale shows "?" and does not stop the run
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, emoji=False, markup=False, width=PIPED_WIDTH)
    return console


def rubric_table(graded: Graded, submission: Submission) -> Table:
    """One row a criterion (bold), one row an item: id, status, points, what went wrong."""
    name = Text(one_line(submission.name, 80))
    table = Table(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("item", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold", max_width=NOTE_WIDTH)
    for criterion in graded.criteria:
        pending = pending_points(criterion)
        table.add_row(
            Text(criterion.title, "bold"), Text(f"{points(pending)} pending" if pending else "", "blue"),
            Text(f"{points(criterion.points)} / {points(criterion.max_points)}", "bold"), Text(""),
        )
        for item in criterion.items:
            status = STATUS[item.result.status]
            table.add_row(Text(f"  {item.result.id}"), Text(status.label, STYLES[status.tone]),
                          Text(_points(item)), Text(_note(item), "dim"))
    return table


def success_table(graded: Graded, spec: Spec) -> Table:
    """The success criteria: measured value, threshold, met or not."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("success criterion", "measured", "threshold", "met"):
        table.add_column(heading)
    for criterion in graded.success_criteria:
        label, tone = met_text(criterion.met)
        table.add_row(Text(criterion.id), Text(one_line(criterion.value)),
                      Text(one_line(criterion.threshold)), Text(label, STYLES[tone]))
    return table


def _points(item: GradedItem) -> str:
    earned = "–" if item.result.status in PENDING else points(item.points)
    return f"{earned} / {points(item.max_points)}"


def _note(item: GradedItem) -> str:
    if item.result.status == "passed":
        return ""
    return one_line((item.result.misconception or {}).get("name") or seen_in(item.result.message), 160)


class GradingProgress:
    """Progress of a grading run: each ``start`` begins a step, of which several may be under way.

    On a terminal each has a live line with its share and the elapsed time; elsewhere each finished step is
    one plain line, so that a log shows where time went. It writes to stderr, and stdout stays for the table.
    Use it as a context manager: leaving it restores the terminal.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self.console, self.quiet = console or make_console(stderr=True), quiet
        self.live: Progress | None = None

    def __enter__(self) -> GradingProgress:
        if self.console.is_terminal and not self.quiet:
            step = TextColumn("{task.description}", markup=False)
            self.live = Progress(SpinnerColumn(), step, BarColumn(), TimeElapsedColumn(),
                                 console=self.console, transient=True)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def start(self, step: str, total: float | None = None) -> Step:
        """Begin a step; `total` is what its `advance` will add up to, None while nobody knows."""
        return Step(self, one_line(step, 60), total)


class Step:
    """A step of a grading run: ``advance`` within it, ``done`` with it. Of one thread; others may have theirs."""

    def __init__(self, progress: GradingProgress, name: str, total: float | None) -> None:
        self.progress, self.name, self.began = progress, name, time.perf_counter()
        self._live = progress.live
        self._task = self._live.add_task(name, total=total) if self._live is not None else None

    def total(self, total: float | None) -> None:
        """Say what `advance` will add up to, once that is known."""
        self._show(total=total)

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Move forward; `note` (a loss, a count) is shown beside the name."""
        self._show(advance=amount, description=f"{self.name} {one_line(note, 40)}".rstrip())

    def done(self, outcome_text: str = "") -> None:
        """End with a word on how it went."""
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
        elif not self.progress.quiet:
            seconds = time.perf_counter() - self.began
            line = f"{self.name}: {one_line(outcome_text, 100) or 'done'} ({seconds:.1f} s)"
            self.progress.console.print(Text(line), soft_wrap=True)

    def _show(self, **fields: Any) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, **fields)
