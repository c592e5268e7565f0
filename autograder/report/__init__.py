"""The four reports of a graded submission.

report.json is canonical; results.json is for Gradescope, feedback.html for the student and
report.html for the TA. `write_reports` renders all four in memory before it touches the disk, and
report.json comes last: where it exists, the other three belong to it and are whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from autograder.core.records import Grading
from autograder.report.canonical import dumps, report_dict
from autograder.report.feedback import feedback_page
from autograder.report.gradescope import results_dict
from autograder.report.ta import ta_page

CANONICAL = "report.json"
PARTIAL = ".{}.partial"  # what a report is called while it is written


def write_reports(out_dir: Path, grading: Grading) -> dict[str, Path]:
    """Write the four reports into `out_dir` (made if need be); their paths by file name.

    Raises:
        OSError: the folder cannot be written. No report of this run is left then, and none half-written.
    """
    texts = {
        "report.html": ta_page(grading),
        "feedback.html": feedback_page(grading),
        "results.json": dumps(results_dict(grading)),
        CANONICAL: dumps(report_dict(grading)),
    }
    return write_together(Path(out_dir), texts)


def write_together(out_dir: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    """Write all files or none that counts: each to a partial file first, then renamed in order.

    An older report.json goes before the first rename and the new one comes last, so that at no
    moment does a report.json stand beside files of another run.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    partial = {name: out_dir / PARTIAL.format(name) for name in texts}
    try:
        for name, path in partial.items():
            with path.open("w", encoding="utf-8", newline="\n") as file:
                file.write(texts[name])
                file.flush()
                os.fsync(file.fileno())
        (out_dir / CANONICAL).unlink(missing_ok=True)
        for name, path in partial.items():
            path.replace(out_dir / name)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return {name: out_dir / name for name in texts}
