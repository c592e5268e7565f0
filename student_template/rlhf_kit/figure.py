"""A matplotlib figure that every notebook shows, with any backend and without pyplot's global state."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class LabFigure(Figure):
    """A Figure that renders itself as PNG, so that it is shown once as a cell's last line."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()
