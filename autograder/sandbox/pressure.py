"""Is the machine so busy that a time limit says little about the code that hit it?"""

from __future__ import annotations

import os
import re
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")
_SOME = re.compile(r"^some avg10=([\d.]+)", re.MULTILINE)


def waiting_share() -> float:
    """Part of the last ten seconds, from 0 to 1, in which some process waited for a processor.

    From the kernel's pressure figures (PSI, Linux 4.20); without them the load average over the cores,
    less one, cut to [0, 1]: a machine with twice the load that it can serve counts as 1.
    """
    try:
        found = _SOME.search(PRESSURE.read_text())
    except OSError:
        found = None
    if found:
        return float(found.group(1)) / 100
    cores = len(os.sched_getaffinity(0))
    return min(1.0, max(0.0, os.getloadavg()[0] / cores - 1.0))
