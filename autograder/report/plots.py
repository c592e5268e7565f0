"""Curves as inline SVG: drawn here from numbers, so that no image of a submission is ever shown.

Colours come from classes of the page's style sheet (they follow dark mode and print), sizes from
SVG attributes, which a strict content policy allows. Every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from markupsafe import Markup, escape

from autograder.core.text import number, one_line

WIDTH, HEIGHT = 400, 240  # user units; the page scales them
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 40


@dataclass(frozen=True)
class Chart:
    """One measured curve with what it is judged against.

    x, y: equally many finite numbers. bars: (label, height) lines of thresholds. band: the
    allowed range of y. interval: the confidence interval of the last point.
    """

    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    bars: tuple[tuple[str, float], ...] = ()
    band: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None

    @property
    def summary(self) -> str:
        """The chart in one sentence, for those who do not see it."""
        text = (f"{self.title}: from {number(self.y[0])} at step {number(self.x[0])} "
                f"to {number(self.y[-1])} at step {number(self.x[-1])}")
        marks = [f"{label} {number(height)}" for label, height in self.bars]
        if self.band:
            marks.append(f"allowed {number(self.band[0])} to {number(self.band[1])}")
        return text + (f"; {', '.join(marks)}." if marks else ".")


def finite_pairs(x: Iterable[object], y: Iterable[object]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points whose both coordinates are finite numbers, in order of x."""
    rows = [(float(a), float(b)) for a, b in zip(x, y, strict=False) if is_number(a) and is_number(b)]
    rows.sort(key=lambda row: row[0])
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether `value` is a finite int or float (a bool is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers (1, 2, 2.5 or 5 times a power of ten apart) covering [low, high]."""
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
    """The chart as one <svg> element; Markup("") when there is nothing to draw."""
    if not chart.x:
        return Markup("")
    scale = _Scale(chart)
    parts = [*_axes(chart, scale), *_judged_against(chart, scale), *_curve(chart, scale)]
    head = (f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(one_line(chart.summary, 400))}">')
    return Markup(head + "".join(parts) + "</svg>")


class _Scale:
    """Data coordinates to user units, with room for everything that is drawn."""

    def __init__(self, chart: Chart) -> None:
        heights = [*chart.y, *(h for _, h in chart.bars), *(chart.interval or ())]
        low, high = min(heights), max(heights)
        if chart.band:  # all of the band's lower edge, and its upper edge unless it is far away
            low = min(low, chart.band[0])
            high = max(high, min(chart.band[1], low + 3 * max(high - low, 1e-9)))
        pad = 0.08 * (high - low) or max(0.05 * abs(high), 0.5)
        self.low, self.high = low - pad, high + pad
        self.left, self.right = min(chart.x), max(chart.x)
        if self.left == self.right:
            self.left, self.right = self.left - 1, self.right + 1

    def x(self, value: float) -> float:
        """Horizontal position of a step, user units."""
        share = (value - self.left) / (self.right - self.left)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Vertical position of a value, user units; what lies outside is drawn at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


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
    yield (f'<text class="label" text-anchor="middle" transform="translate(12 {middle}) rotate(-90)">'
           f"{escape(one_line(chart.y_label, 30))}</text>")


def _judged_against(chart: Chart, scale: _Scale) -> Iterable[str]:
    if chart.band:
        top, bottom = scale.y(chart.band[1]), scale.y(chart.band[0])
        yield (f'<rect class="band" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" '
               f'height="{round(bottom - top, 1)}"/>')
        low, high = chart.band
        text = f"allowed {number(low, 3)} to {number(high, 3)}"
        yield _text(WIDTH - RIGHT - 4, top + 14, text, "ok", "end")
    for label, height in chart.bars:
        y = scale.y(height)
        yield f'<line class="bar" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield _text(WIDTH - RIGHT, y - 4, f"{label} {number(height, 3)}", "note", "end")


def _curve(chart: Chart, scale: _Scale) -> Iterable[str]:
    points: Sequence[tuple[float, float]] = [(scale.x(a), scale.y(b)) for a, b in zip(chart.x, chart.y)]
    yield '<polyline class="curve" points="' + " ".join(f"{a},{b}" for a, b in points) + '"/>'
    if len(points) <= 40:
        yield from (f'<circle class="dot" cx="{a}" cy="{b}" r="2.6"/>' for a, b in points)
    if chart.interval:
        x, (low, high) = points[-1][0], (scale.y(chart.interval[0]), scale.y(chart.interval[1]))
        yield f'<line class="whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
        yield from (f'<line class="whisker" x1="{x - 4}" x2="{x + 4}" y1="{y}" y2="{y}"/>'
                    for y in (low, high))
