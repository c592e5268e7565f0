"""The terminal while a run goes on: the progress of its steps."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from assignment.console import make_console
from autograder.core.text import one_line


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
