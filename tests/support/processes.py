"""Start processes that import the project."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.sources import ROOT


def environment(root: Path = ROOT, **more: str) -> dict[str, str]:
    """Return an environment in which Python imports the packages under `root`. more: further variables."""
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'student_template'}", **more}
