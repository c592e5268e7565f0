"""The progress of a grading run on the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from assignment.console import make_console
from autograder.core.text import one_line

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console


class GradingProgress:
    """Shows the steps of a grading run. `start` begins a step; several steps may run at the same time.

    On a terminal each step has a live line with a progress bar and the elapsed time. Elsewhere each finished step is
    one plain line, so that a log shows where the time went. Output goes to stderr; stdout is for the rubric table. The
    context manager restores the terminal at its end.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self.console, self.quiet = console or make_console(stderr=True), quiet
        self.live: Progress | None = None

    def __enter__(self) -> GradingProgress:
        if self.console.is_terminal and not self.quiet:
            step = TextColumn("{task.description}", markup=False)
            self.live = Progress(
                SpinnerColumn(), step, BarColumn(), TimeElapsedColumn(), console=self.console, transient=True
            )
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def start(self, step: str, total: float | None = None) -> Step:
        """Begin a step. total: the sum of the amounts that `advance` will get; None while it is not known."""
        return Step(self, one_line(step, 60), total)


class Step:
    """A step of a grading run. Each step belongs to one thread."""

    def __init__(self, progress: GradingProgress, name: str, total: float | None) -> None:
        self.progress, self.name, self.began = progress, name, time.perf_counter()
        self._live = progress.live
        self._task = self._live.add_task(name, total=total) if self._live is not None else None

    def total(self, total: float | None) -> None:
        """Set the total, once it is known."""
        self._show(total=total)

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Move forward by `amount`. note: a short text, such as a loss, to show beside the name."""
        self._show(advance=amount, description=f"{self.name} {one_line(note, 40)}".rstrip())

    def done(self, outcome_text: str = "") -> None:
        """End the step. outcome_text: how it went, for the line of a finished step."""
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
        elif not self.progress.quiet:
            seconds = time.perf_counter() - self.began
            line = f"{self.name}: {one_line(outcome_text, 100) or 'done'} ({seconds:.1f} s)"
            self.progress.console.print(Text(line), soft_wrap=True)

    def _show(self, **fields: Any) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, **fields)
