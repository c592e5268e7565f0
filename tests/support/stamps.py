"""A line in a page of docs/ that says with which code the page was made, so that `make refresh` sees that it is old."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = "<!-- made with code {} -->"
_FOUND = re.compile(_LINE.format("([0-9a-f]+)"))


def stamp(state: str) -> str:
    """Write the line. state: hexadecimal digits, a hash of the code."""
    return _LINE.format(state)


def stamped(page: Path) -> str:
    """Read the state in a page's line, or nothing if there is no such line or page."""
    found = _FOUND.search(page.read_text(encoding="utf-8")) if page.is_file() else None
    return found[1] if found else ""
