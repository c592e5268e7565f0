"""Draw the state of a progress bar: HTML and plain text in a notebook, a line of text in a terminal.

A notebook saves both as they are, so that a bar looks the same when it is opened again, exported or read as text.
"""

from __future__ import annotations

import html
import os
import sys
from dataclasses import dataclass, field
from typing import Any

QUIET_VARIABLE = "RLHF_KIT_QUIET"  # set to 1: no bars where there is no terminal
WIDTH = 24  # columns of the bar in plain text


def is_quiet(quiet: bool | None = None) -> bool:
    """Return `quiet`, or by default whether QUIET_VARIABLE is set and stderr is no terminal."""
    if quiet is not None:
        return quiet
    asked = os.environ.get(QUIET_VARIABLE, "") not in ("", "0")
    return asked and not sys.stderr.isatty()


@dataclass(frozen=True)
class BarState:
    """What a bar shows. total: of steps, None if unknown. ended: why it ended ("" while it runs or if all went well).
    seconds, left: so far, and an estimate of the rest. values: shown behind, by name."""

    title: str
    unit: str
    steps: int
    total: int | None
    seconds: float
    left: float | None = None
    ended: str = ""
    values: dict[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """Return how much is done, in [0, 1]; None if the total is unknown."""
        return min(1.0, self.steps / self.total) if self.total else None

    @property
    def words(self) -> str:
        """Return everything but the title, as in "57 of 135 steps, 12 s, about 16 s left, loss 0.512"."""
        count = f"{self.steps} of {self.total}" if self.total else f"{self.steps}"
        parts = [f"{count} {self.unit}", self.ended, span(self.seconds)]
        parts += [] if self.left is None else [f"about {span(self.left)} left"]
        parts += [f"{name} {value:.3f}" for name, value in self.values.items()]
        return ", ".join(part for part in parts if part)

    @property
    def text(self) -> str:
        """Return the bar as one line, in characters that every terminal has."""
        full = None if self.share is None else int(WIDTH * self.share)
        bar = "" if full is None else f"[{'#' * full}{'.' * (WIDTH - full)}] "
        return f"{self.title}: {bar}{self.words}" if self.title else f"{bar}{self.words}"

    @property
    def html(self) -> str:
        """Return the bar as HTML."""
        title, words = html.escape(self.title), html.escape(self.words)
        bar = (
            ""
            if self.share is None
            else f'<progress aria-label="{title}" max="{self.total}" value="{self.steps}"></progress> '
        )
        return f"<div>{bar}<b>{title}</b> {words}</div>"


class Drawing:
    """One bar on the screen, drawn again and again in the same place. It appears when it is drawn first."""

    def __init__(self, quiet: bool | None = None) -> None:
        self._quiet, self._length = is_quiet(quiet), 0
        self._handle: Any = None  # of the notebook's output

    def draw(self, state: BarState, *, last: bool = False) -> None:
        """Draw a state. last: nothing comes after it."""
        if self._quiet:
            return
        if _in_notebook():
            self._show({"text/html": state.html, "text/plain": state.text})
        else:
            self._print(state.text, "\n" if last else "")

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _print(self, text: str, end: str) -> None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        print(f"\r{text.ljust(self._length)}", end=end, file=sys.stderr, flush=True)
        self._length = len(text)


def span(seconds: float) -> str:
    """Write a duration in a few characters: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel. IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
