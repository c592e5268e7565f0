"""Find code of a slot that stands where it does not run: in a markdown or raw cell, under a cell magic, in comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .ipython import as_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_AGAIN = "run it, and save the notebook."
_AS_CODE = f"Make it a code cell again (select it, press Esc, then Y; on Colab Ctrl+M, then Y), {_AGAIN}"
_FORMS = {  # how the cell hides the code, and the remedy
    "markdown": ("a markdown cell, so it does not run", _AS_CODE),
    "raw": ("a raw cell, so it does not run", _AS_CODE),
    "magic": ("a cell whose first line, a cell magic, keeps it from running", f"Remove that line, {_AGAIN}"),
    "comment": ("a cell where it is commented out", f"Remove the # in front of its lines, {_AGAIN}"),
}


class Misplaced(NamedTuple):
    """Code of a slot that does not run. form: what hides it. problem: what is wrong and, in its last sentence, the
    remedy."""

    cell: int
    form: str
    source: str
    problem: str


def find_misplaced(cells: Sequence[Mapping[str, Any]], slot: Mapping[str, str]) -> list[Misplaced]:
    """List, in the notebook's order, what defines the slot's name, or holds its first line, and does not run."""
    defines = re.compile(rf"^[ \t>]*(?:async[ \t]+)?(?:def|class)[ \t]+{slot['name']}\b", re.M)
    begins = re.compile(rf"^[ \t]*#[ \t]*TODO[ \t]+{slot['id']}\b", re.M | re.I)
    found = []
    for cell in cells:
        for form, text in _hidden(cell):
            if defines.search(text) or (form != "comment" and begins.search(text)):
                found.append(Misplaced(cell["index"], form, text, _problem(cell["index"], form, slot)))
                break
    return found


def _hidden(cell: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (form, text) of what a cell holds and does not run."""
    source = cell["source"]
    if cell["kind"] != "code":
        yield cell["kind"], source
    elif source.lstrip().startswith("%%") and not as_python(source).strip():
        yield "magic", source.lstrip().partition("\n")[2]
    else:
        commented = (line.lstrip() for line in source.split("\n"))
        yield "comment", "\n".join(re.sub("^# ?", "", line) for line in commented if line.startswith("#"))


def _problem(cell: int, form: str, slot: Mapping[str, str]) -> str:
    where, remedy = _FORMS[form]
    return f"The code of {slot['id']} is in cell {cell + 1}, {where}. {remedy}"
