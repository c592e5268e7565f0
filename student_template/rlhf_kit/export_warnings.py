"""What the export warns of: what is missing in a notebook, and cells that differ from what was run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .history import RanCell
from .saved_work import SavedWork

_SAVE = "save the notebook (Ctrl+S or ⌘S) and export again."


def find_warnings(work: SavedWork, ran: Sequence[RanCell], saved_at: float) -> Iterator[str]:
    """Yield one warning, with advice, for each thing that the student may want to put right.

    ran: the cells that ran in this kernel, the oldest first. saved_at: when the notebook was saved, in
    seconds since 1970.
    """
    blank = [slot for slot, a in work.answers.items() if a["state"] == "blank"]
    if blank:
        yield f"Not answered yet: {', '.join(blank)}."
    for answer in work.answers.values():
        if answer["problem"]:
            yield answer["problem"]
    yield from work.notes
    unwritten = [question for question, text in work.written.items() if not text]
    if unwritten:
        yield (
            f"No written answer yet: {', '.join(unwritten)}. Write below the question, in its own cell, and {_SAVE}"
        )
    yield from _changed(work, ran, saved_at)
    if not work.results:
        yield f"No result tables in the saved notebook: run it to the end, then {_SAVE}"


def _changed(work: SavedWork, ran: Sequence[RanCell], saved_at: float) -> Iterator[str]:
    """Compare the slots' cells in the file with those that ran last."""
    edited, unsaved, unknown = [], [], []
    for slot, name in work.names.items():
        last = _last(ran, name)
        saved = {
            _plain(c["source"])
            for c in work.cells
            if c["kind"] == "code" and _defines(c["source"], name)
        }
        if last is None or _plain(last.source) in saved:
            continue
        if last.at is None:
            unknown.append(slot)
        elif saved_at < last.at:
            unsaved.append(slot)
        elif saved:  # else the cell is gone, which its own problem says
            edited.append(slot)
    if edited:
        yield (
            f"Edited, but not run since: {', '.join(edited)}. The file holds code that you have not tried. "
            f"Run the cell of the slot and its check, then {_SAVE}"
        )
    if unsaved:
        yield f"Run, but not saved: {', '.join(unsaved)}. The file holds an older version: {_SAVE}"
    if unknown:
        yield (
            f"The saved file differs from what you last ran in {', '.join(unknown)}. If you edited the cell "
            f"after that, run it and its check; then {_SAVE}"
        )


def _last(ran: Sequence[RanCell], name: str) -> RanCell | None:
    """Return the cell that last defined a name, if any did."""
    return next((cell for cell in reversed(ran) if _defines(cell.source, name)), None)


def _defines(source: str, name: str) -> bool:
    return bool(re.search(rf"^(?:async[ \t]+)?(?:def|class)[ \t]+{name}\b", source, re.MULTILINE))


def _plain(source: str) -> str:
    """Return the text without what editors change when they save: line ends, blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in source.splitlines()).strip()
