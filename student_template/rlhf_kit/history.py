"""Remember which cells ran in this kernel, and when.

With the time, the export can tell a cell that was edited after its last run from one that was run and
not saved: IPython's own history has no times.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_RAN: list[RanCell] = []


@dataclass(frozen=True)
class RanCell:
    """A cell as it was run. at: when, in seconds since 1970, or None if that is not known."""

    source: str
    at: float | None


def watch_cells() -> None:
    """Note every cell that runs in this notebook from now on. Calling it again changes nothing."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None:
        shell.events.register("pre_run_cell", _note)  # does nothing if it is registered


def ran_cells(namespace: Mapping[str, Any]) -> list[RanCell]:
    """Return the cells that ran in this kernel, the oldest first.

    namespace: the notebook's globals, whose `In` is asked if no cell was noted. There, a cell with a magic
    or shell line is not as it was written, so it is left out.
    """
    texts = [str(text) for text in namespace.get("In", [])]
    return list(_RAN) or [RanCell(text, None) for text in texts if "get_ipython()" not in text]


def _note(info: Any) -> None:
    _RAN.append(RanCell(str(info.raw_cell), time.time()))
