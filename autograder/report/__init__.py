"""The four reports of a graded submission.

report.json is the record, report.html is for the TA, feedback.html for the student and results.json for Gradescope.
`write_reports` renders all four in memory before it touches the disk, and writes report.json last: if it exists, the
other three belong to it and are complete. A hidden file with the digests of the reports tells them, which the next run
replaces, from files that a person wrote, which it leaves alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.files import changed, sha256, write_partial
from autograder.report.canonical import dumps, report_dict
from autograder.report.feedback import feedback_page
from autograder.report.gradescope import results_dict
from autograder.report.ta import ta_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.core.records import Grading

CANONICAL = "report.json"
REPORTS = ("report.html", "feedback.html", "results.json", CANONICAL)
RECORD = ".rlhf-lab.json"  # digests of the reports that were written into this folder


def write_reports(out_dir: Path, grading: Grading) -> dict[str, Path]:
    """Write the four reports into `out_dir`, which is made if it does not exist. Returns their paths by file name.

    Raises:
        OSError: the folder cannot be written, or holds files that a person wrote (`obstacle`). Then it has no report of
            this run, and no incomplete file.
    """
    texts = {
        "report.html": ta_page(grading),
        "feedback.html": feedback_page(grading),
        "results.json": dumps(results_dict(grading)),
        CANONICAL: dumps(report_dict(grading)),
    }
    return write_together(Path(out_dir), texts)


def obstacle(out_dir: Path) -> str:
    """Why reports cannot be written into this folder, as a sentence that says what to do; empty if they can be.

    A report that was edited since it was written counts as a person's file.
    """
    nearest = next(path for path in (out_dir, *out_dir.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        return f"{nearest} is a file: give --out a folder."
    known = _recorded(out_dir)
    foreign = [name for name in REPORTS if changed(out_dir / name, known.get(name, ()))]
    if not foreign:
        return ""
    return (
        f"{', '.join(foreign)} in {out_dir} would be replaced, but rlhf-lab did not write what stands there now: "
        "move it away, or give --out another folder."
    )


def write_together(out_dir: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    """Write all files or none: each is first written to a partial file, then they are renamed in order.

    The record of digests is renamed first. Then an older report.json is removed, and the new one comes last, so that a
    report.json never stands beside files of another run.
    """
    if found := obstacle(out_dir):
        raise FileExistsError(found)
    out_dir.mkdir(parents=True, exist_ok=True)
    data = {name: text.encode("utf-8") for name, text in texts.items()}
    written: dict[str, Path] = {}
    try:
        for name, content in {RECORD: _record(out_dir, data), **data}.items():
            written[name] = write_partial(out_dir / name, content)
        written[RECORD].replace(out_dir / RECORD)
        (out_dir / CANONICAL).unlink(missing_ok=True)
        for name in data:
            written[name].replace(out_dir / name)
    finally:
        for path in written.values():
            path.unlink(missing_ok=True)
    return {name: out_dir / name for name in texts}


def _recorded(out_dir: Path) -> dict[str, list[str]]:
    """The recorded digests by file name; empty if there is no readable record."""
    try:
        found = json.loads((out_dir / RECORD).read_bytes())
        return {name: [str(digest) for digest in found["sha256"][name]] for name in REPORTS}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _record(out_dir: Path, data: Mapping[str, bytes]) -> bytes:
    """The record of the files to be written and of those they replace, since an interrupt may leave some of each."""
    digests = {}
    for name, content in data.items():
        before = [sha256((out_dir / name).read_bytes())] if (out_dir / name).exists() else []
        digests[name] = sorted({*before, sha256(content)})
    return (json.dumps({"written_by": "rlhf-lab", "sha256": digests}, indent=1) + "\n").encode("utf-8")
