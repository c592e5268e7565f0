"""Read the version of the whole package: `version` in assignment.toml, where reports and releases read it too.

pyproject.toml reads it from here while the package is built, so this module needs nothing but the standard library.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

_REGISTRY = Path(__file__).with_name("assignment.toml").read_text(encoding="utf-8")
VERSION: str = tomllib.loads(_REGISTRY)["assignment"]["version"]
