"""Progress bars that training loops call as `on_step`. A training with a bar can be stopped, and its model is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from types import TracebackType
from typing import Any, Self, TypeVar

from .drawing import BarState, Drawing
from .stopping import Stopped, StopRequest

SHOWN = ("loss", "reward", "kl")  # the statistics shown beside the bar, in this order
INTERVAL = 0.2  # seconds between two drawings

T = TypeVar("T")


class ProgressBar:
    """A bar that a training loop calls after each step, with (step, loss) or (step, statistics).

    Use it as a context manager, so that the bar is closed after an error too:

        with kit.ProgressBar(total, "SFT") as bar:
            losses = train_sft(model, batches, config, on_step=bar)

    Ctrl-C, or ■ in a notebook, stops a training when its step is done; a second one stops it at once. The stages of the
    pipeline then return the model as it is, with the values of its steps, and at its end the `with` raises `Stopped`.

    total: number of steps, or None if unknown. unit: what is counted, in the plural. smoothing: weight of the past in
    the values shown, in [0, 1). quiet: draw nothing; by default as in `is_quiet`.
    """

    def __init__(
        self,
        total: int | None = None,
        title: str = "",
        *,
        unit: str = "steps",
        smoothing: float = 0.9,
        quiet: bool | None = None,
    ) -> None:
        self._total, self._title, self._unit = total, title, unit
        self._smoothing = smoothing
        self._average: dict[str, float] = {}
        self._values: list[Any] = []
        self._steps, self._within_step, self._closed = 0, False, False
        self._drawing, self._stop = Drawing(quiet), StopRequest()
        self._start = time.monotonic()
        self._drawn = -math.inf

    def __call__(self, step: int, value: float | Mapping[str, float]) -> None:  # noqa: ARG002 (as `on_step`)
        """Advance by one step. step: not used. value: the loss, or a dict of statistics.

        Raises:
            Stopped: an interrupt came during the step.
        """
        self._values.append(value)
        values = value if isinstance(value, Mapping) else {"loss": value}
        for name in SHOWN:
            if name in values:
                self._update(name, float(values[name]))
        self._stop.waits = True
        self.advance()
        if self._stop.asked:
            raise self._stopped()

    def advance(self, n: int = 1) -> None:
        """Count n more steps without values."""
        self._steps += n
        if time.monotonic() - self._drawn >= INTERVAL:
            self._draw()

    def _update(self, name: str, x: float) -> None:
        past = self._average.get(name, x)
        # a NaN is shown at once, and is forgotten when the loss is finite again
        keep = self._smoothing if math.isfinite(past) and math.isfinite(x) else 0.0
        self._average[name] = keep * past + (1 - keep) * x if keep else x

    def _draw(self, ended: str | None = None) -> None:
        """Draw the bar. ended: why it ended, None while it runs."""
        now = time.monotonic()
        self._drawn, seconds, left = now, now - self._start, None
        if ended is None and self._total and self._steps:
            left = seconds / self._steps * max(0, self._total - self._steps)
        state = BarState(
            self._title,
            self._unit,
            self._steps,
            self._total,
            seconds,
            left,
            ended or "",
            self.shown,
        )
        self._drawing.draw(state, last=ended is not None)

    @property
    def shown(self) -> dict[str, float]:
        """Return the smoothed values shown beside the bar."""
        return dict(self._average)

    @property
    def steps(self) -> int:
        """Return how many steps were counted."""
        return self._steps

    def keep(self, interrupt: KeyboardInterrupt) -> list[Any]:
        """Return the values of the steps that were done when a training was interrupted. Raises the interrupt again if
        there were none."""
        if not self._values:
            raise interrupt
        self._stop.asked, self._within_step = True, not isinstance(interrupt, Stopped)
        return list(self._values)

    def close(self, ended: str = "") -> None:
        """Draw the final state and end the bar. A second call does nothing. ended: why, if not all went well."""
        try:
            if not self._closed:
                self._closed = True
                self._draw(ended)
        finally:
            self._stop.ignore()  # last, so that a second interrupt does not end the drawing

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        # an interrupt while the bar is drawn would miss `__exit__`, which explains it
        self._stop.waits = True
        self._stop.listen()
        try:
            self._draw()
        except BaseException:
            self._stop.ignore()  # there is no `__exit__` after this
            raise
        self._stop.waits = False
        if self._stop.asked:
            stopped = self._stopped()
            self.close("stopped")
            raise stopped
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        asked = self._stop.asked or isinstance(error, KeyboardInterrupt)
        stopped = self._stopped() if asked else None
        self.close("stopped" if asked else "ended by an error" if error else "")
        if stopped and (error is None or isinstance(error, KeyboardInterrupt)):
            raise stopped from None

    def _stopped(self) -> Stopped:
        """Return what is raised after an interrupt. Further interrupts do nothing from now on."""
        self._stop.raised = True
        return Stopped(self._message())

    def _message(self) -> str:
        """Say at which step the bar was stopped, and what there is now."""
        name, total = self._title or "The training", f" of {self._total}" if self._total else ""
        if self._values and self._within_step:
            place = f"during step {self._steps + 1}{total}"
        elif self._values:
            place = f"after step {self._steps}{total}"
        elif self._steps:
            return (
                f"{name} was stopped after {self._steps}{total} {self._unit}. Run this cell again."
            )
        else:
            return f"{name} was stopped before its first step was done: nothing was trained. Run this cell again."
        return (
            f"{name} was stopped {place}. The model is kept as it is now, and you can go on with it. "
            "To train it to the end, run this cell again: it begins anew."
        )


def track(
    items: Iterable[T], title: str = "", *, unit: str = "items", quiet: bool | None = None
) -> Iterator[T]:
    """Iterate over items, and draw a bar."""
    bar = ProgressBar(
        len(items) if isinstance(items, Sized) else None, title, unit=unit, quiet=quiet
    )
    ended = "stopped"
    try:
        for item in items:
            yield item
            bar.advance()
        ended = ""
    finally:
        bar.close(ended)
