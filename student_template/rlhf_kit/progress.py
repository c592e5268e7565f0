"""Progress bars that double as `on_step` callbacks of the training loops."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Self, TypeVar

QUIET_VARIABLE = "RLHF_KIT_QUIET"  # set to 1: no bars where nobody watches (batch jobs, grading)
SHOWN = ("loss", "reward", "kl")  # what a dict of statistics shows beside the bar, in this order

T = TypeVar("T")


def is_quiet(quiet: bool | None = None) -> bool:
    """Whether to draw no bar: `quiet` if given, else QUIET_VARIABLE is set and nobody is watching."""
    if quiet is not None:
        return quiet
    asked = os.environ.get(QUIET_VARIABLE, "") not in ("", "0")
    return asked and not sys.stderr.isatty()


class ProgressBar:
    """A tqdm bar that a training loop calls after each step: `on_step(step, loss)` or `on_step(step, stats)`.

    Use as a context manager, so that an error leaves no half-drawn bar behind:

        with kit.ProgressBar(total, "SFT") as bar:
            losses = train_sft(model, batches, config, on_step=bar)

    total: steps, or None if unknown. smoothing: weight of the past in the value shown, in [0, 1).
    """

    def __init__(
        self, total: int | None = None, title: str = "", *, unit: str = "step", smoothing: float = 0.9,
        quiet: bool | None = None,
    ) -> None:
        from tqdm.auto import tqdm  # widgets in a notebook, text elsewhere

        self._bar: Any = tqdm(total=total, desc=title, unit=unit, disable=is_quiet(quiet), leave=True)
        self._smoothing = smoothing
        self._average: dict[str, float] = {}
        self._steps = 0

    def __call__(self, step: int, value: float | Mapping[str, float]) -> None:
        """Advance by one; `step` is the loop's own counter and is not needed to be gap-free."""
        values = value if isinstance(value, Mapping) else {"loss": value}
        self._steps += 1
        for name in SHOWN:
            if name in values:
                self._update(name, float(values[name]))
        self._bar.set_postfix({name: f"{x:.3f}" for name, x in self._average.items()}, refresh=False)
        self._bar.update(1)

    def _update(self, name: str, x: float) -> None:
        past = self._average.get(name, x)
        # a NaN is shown at once and does not stick once the loss is finite again
        keep = self._smoothing if math.isfinite(past) and math.isfinite(x) else 0.0
        self._average[name] = keep * past + (1 - keep) * x if keep else x

    @property
    def shown(self) -> dict[str, float]:
        """The smoothed values beside the bar."""
        return dict(self._average)

    @property
    def steps(self) -> int:
        """How often the bar was called."""
        return self._steps

    def close(self) -> None:
        """Draw the final state and end the bar; safe to call twice."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def track(items: Iterable[T], title: str = "", *, unit: str = "it", quiet: bool | None = None) -> Iterator[T]:
    """Iterate with a bar."""
    from tqdm.auto import tqdm

    total = len(items) if isinstance(items, Sized) else None
    yield from tqdm(items, desc=title, unit=unit, total=total, disable=is_quiet(quiet))
