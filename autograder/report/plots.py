"""Draw curves as inline SVG from numbers, so that no image of a submission is ever shown.

Colours are classes of the page's style sheet, so that they follow dark mode and print. Sizes are SVG attributes, which
a strict content security policy allows. Every text is escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from markupsafe import Markup, escape

from autograder.core.text import number, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH, HEIGHT = 400, 240  # user units; the page scales them
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 40


@dataclass(frozen=True)
class Chart:
    """One measured curve, with the threshold or the range that it has to reach.

    x, y: equally many finite numbers. threshold: drawn as a line. band: the allowed range of y. interval: the
    confidence interval of the last point.
    """

    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    threshold: float | None = None
    band: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None

    @property
    def summary(self) -> str:
        """The chart in one sentence, for screen readers."""
        text = (
            f"{self.title}: from {number(self.y[0])} at step {number(self.x[0])} "
            f"to {number(self.y[-1])} at step {number(self.x[-1])}"
        )
        marks = [] if self.threshold is None else [f"threshold {number(self.threshold)}"]
        if self.band:
            marks.append(f"allowed {number(self.band[0])} to {number(self.band[1])}")
        return text + (f"; {', '.join(marks)}." if marks else ".")


def finite_pairs(x: Iterable[object], y: Iterable[object]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points whose coordinates are both finite numbers, in the order of x."""
    rows = [(float(a), float(b)) for a, b in zip(x, y, strict=False) if is_number(a) and is_number(b)]
    rows.sort(key=lambda row: row[0])
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether `value` is a finite int or float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers in [low, high], 1, 2, 2.5 or 5 times a power of ten apart."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def svg(chart: Chart) -> Markup:
    """The chart as one <svg> element; Markup("") if there is nothing to draw."""
    if not chart.x:
        return Markup("")
    scale = _Scale(chart)
    parts = [*_axes(chart, scale), *_requirements(chart, scale), *_curve(chart, scale)]
    head = (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(one_line(chart.summary, 400))}">'
    )
    return Markup(head + "".join(parts) + "</svg>")  # numbers and escaped texts only


class _Scale:
    """Maps data coordinates to user units, with room for everything that is drawn."""

    def __init__(self, chart: Chart) -> None:
        threshold = () if chart.threshold is None else (chart.threshold,)
        heights = [*chart.y, *threshold, *(chart.interval or ())]
        low, high = min(heights), max(heights)
        if chart.band:  # show its lower edge, and its upper edge unless it is far away
            low = min(low, chart.band[0])
            high = max(high, min(chart.band[1], low + 3 * max(high - low, 1e-9)))
        pad = 0.08 * (high - low) or max(0.05 * abs(high), 0.5)
        self.low, self.high = low - pad, high + pad
        self.left, self.right = min(chart.x), max(chart.x)
        if self.left == self.right:
            self.left, self.right = self.left - 1, self.right + 1

    def x(self, value: float) -> float:
        """The horizontal position of a step, in user units."""
        share = (value - self.left) / (self.right - self.left)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """The vertical position of a value, in user units. A value outside the axes is drawn at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return float(round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1))


def _text(x: float, y: float, text: object, css: str, anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _axes(chart: Chart, scale: _Scale) -> Iterable[str]:
    for tick in ticks(scale.low, scale.high):
        y = scale.y(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield _text(LEFT - 6, y + 3.5, number(tick, 3), "tick", "end")
    for tick in ticks(min(chart.x), max(chart.x)):
        yield _text(scale.x(tick), HEIGHT - BOTTOM + 15, number(tick, 3), "tick", "middle")
    base = HEIGHT - BOTTOM
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, chart.x_label, "label", "middle")
    middle = (TOP + base) / 2
    yield (
        f'<text class="label" text-anchor="middle" transform="translate(12 {middle}) rotate(-90)">'
        f"{escape(one_line(chart.y_label, 30))}</text>"
    )


def _requirements(chart: Chart, scale: _Scale) -> Iterable[str]:
    """The allowed range and the threshold."""
    if chart.band:
        top, bottom = scale.y(chart.band[1]), scale.y(chart.band[0])
        yield (
            f'<rect class="band" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{round(bottom - top, 1)}"/>'
        )
        low, high = chart.band
        text = f"allowed {number(low, 3)} to {number(high, 3)}"
        yield _text(WIDTH - RIGHT - 4, top + 14, text, "ok", "end")
    if chart.threshold is not None:
        y = scale.y(chart.threshold)
        yield f'<line class="threshold" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield _text(WIDTH - RIGHT, y - 4, f"threshold {number(chart.threshold, 3)}", "note", "end")


def _curve(chart: Chart, scale: _Scale) -> Iterable[str]:
    points: Sequence[tuple[float, float]] = [(scale.x(a), scale.y(b)) for a, b in zip(chart.x, chart.y, strict=True)]
    yield '<polyline class="curve" points="' + " ".join(f"{a},{b}" for a, b in points) + '"/>'
    if len(points) <= 40:
        yield from (f'<circle class="dot" cx="{a}" cy="{b}" r="2.6"/>' for a, b in points)
    if chart.interval:
        x, (low, high) = points[-1][0], (scale.y(chart.interval[0]), scale.y(chart.interval[1]))
        yield f'<line class="whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
        yield from (f'<line class="whisker" x1="{x - 4}" x2="{x + 4}" y1="{y}" y2="{y}"/>' for y in (low, high))
