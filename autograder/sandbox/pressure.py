"""Measure how overloaded the machine is: on a busy one, exceeding a time limit says little about the code."""

from __future__ import annotations

import os
import re
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")
_SOME = re.compile(r"^some avg10=([\d.]+)", re.MULTILINE)


def waiting_share() -> float:
    """Return the share of the last ten seconds, from 0 to 1, in which some process waited for a processor.

    The source is the kernel's pressure stall information (PSI, Linux 4.20). Without it, the load average per core
    minus one is used, clipped to [0, 1]: a machine with twice the load that it can serve counts as 1.
    """
    try:
        found = _SOME.search(PRESSURE.read_text())
    except OSError:
        found = None
    if found:
        return float(found.group(1)) / 100
    cores = len(os.sched_getaffinity(0))
    return min(1.0, max(0.0, os.getloadavg()[0] / cores - 1.0))
