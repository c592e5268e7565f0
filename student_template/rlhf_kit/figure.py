"""A Figure that shows itself in any notebook, whatever backend is set and without pyplot's global state."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class LabFigure(Figure):
    """matplotlib's Figure with a PNG of its own: as a cell's last line it is shown, exactly once."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()
