"""The version of the whole package: `version` of assignment.toml, where reports and releases read it too.

pyproject.toml takes it from here while the package is built, before any dependency is installed: standard library only.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

_REGISTRY = Path(__file__).with_name("assignment.toml").read_text(encoding="utf-8")
VERSION: str = tomllib.loads(_REGISTRY)["assignment"]["version"]
