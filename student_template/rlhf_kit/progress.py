"""Progress bars that training loops call as `on_step`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Self, TypeVar

QUIET_VARIABLE = "RLHF_KIT_QUIET"  # set to 1: no bars where there is no terminal
SHOWN = ("loss", "reward", "kl")  # the statistics shown beside the bar, in this order

T = TypeVar("T")


def is_quiet(quiet: bool | None = None) -> bool:
    """Return `quiet`, or by default whether QUIET_VARIABLE is set and stderr is no terminal."""
    if quiet is not None:
        return quiet
    asked = os.environ.get(QUIET_VARIABLE, "") not in ("", "0")
    return asked and not sys.stderr.isatty()


class ProgressBar:
    """A tqdm bar that a training loop calls after each step, with (step, loss) or (step, statistics).

    Use it as a context manager, so that the bar is closed after an error too:

        with kit.ProgressBar(total, "SFT") as bar:
            losses = train_sft(model, batches, config, on_step=bar)

    total: number of steps, or None if unknown. smoothing: weight of the past in the values shown, in [0, 1).
    """

    def __init__(
        self,
        total: int | None = None,
        title: str = "",
        *,
        unit: str = "step",
        smoothing: float = 0.9,
        quiet: bool | None = None,
    ) -> None:
        from tqdm.auto import tqdm  # widgets in a notebook, text elsewhere

        self._bar: Any = tqdm(
            total=total, desc=title, unit=unit, disable=is_quiet(quiet), leave=True
        )
        self._smoothing = smoothing
        self._average: dict[str, float] = {}
        self._steps = 0

    def __call__(self, step: int, value: float | Mapping[str, float]) -> None:  # noqa: ARG002 (as `on_step`)
        """Advance by one step. step: not used. value: the loss, or a dict of statistics."""
        values = value if isinstance(value, Mapping) else {"loss": value}
        self._steps += 1
        for name in SHOWN:
            if name in values:
                self._update(name, float(values[name]))
        self._bar.set_postfix(
            {name: f"{x:.3f}" for name, x in self._average.items()}, refresh=False
        )
        self._bar.update(1)

    def _update(self, name: str, x: float) -> None:
        past = self._average.get(name, x)
        # a NaN is shown at once, and is forgotten when the loss is finite again
        keep = self._smoothing if math.isfinite(past) and math.isfinite(x) else 0.0
        self._average[name] = keep * past + (1 - keep) * x if keep else x

    @property
    def shown(self) -> dict[str, float]:
        """Return the smoothed values shown beside the bar."""
        return dict(self._average)

    @property
    def steps(self) -> int:
        """Return how often the bar was called."""
        return self._steps

    def close(self) -> None:
        """Draw the final state and end the bar. A second call does nothing."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def track(
    items: Iterable[T], title: str = "", *, unit: str = "it", quiet: bool | None = None
) -> Iterator[T]:
    """Iterate over items, and draw a bar."""
    from tqdm.auto import tqdm

    total = len(items) if isinstance(items, Sized) else None
    yield from tqdm(items, desc=title, unit=unit, total=total, disable=is_quiet(quiet))
