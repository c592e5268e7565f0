"""Grade one submission, from file to reports: read, extract, sandbox, slots, training, quality, written, rubric.

The worker starts first and imports its libraries while the grader imports its own, and the data of the training tests
are drawn while slots are tested. A grader error never costs points: the item becomes `not_gradable`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from assignment.registry import load_spec
from autograder.core.options import OptionError, Options, selection_of
from autograder.core.progress import GradingProgress
from autograder.core.records import Graded, Grading, ItemResult
from autograder.core.rubric import apply_rubric
from autograder.grading.open_run import open_run, run_info
from autograder.grading.written import collect_written_answers
from autograder.quality.step import check_quality
from autograder.report import obstacle, write_reports
from autograder.slots.step import run_slot_tests
from autograder.submission.extraction import extract
from autograder.submission.intake import read_submission
from autograder.training.step import run_training_tests

if TYPE_CHECKING:
    from pathlib import Path

    from autograder.context import GradingContext, GradingStep

STEPS: tuple[GradingStep, ...] = (run_slot_tests, run_training_tests, check_quality, collect_written_answers)


def grade(path: Path | str, out: Path | None = None, options: Options | None = None) -> Graded:
    """Grade one submission without output to the terminal; see `grade_submission`."""
    return grade_submission(path, out, options or Options(), GradingProgress(quiet=True)).graded


def grade_submission(path: Path | str, out: Path | None, options: Options, progress: GradingProgress) -> Grading:
    """Grade one submission. out: the folder to write its reports into; None writes none.

    Raises:
        IntakeError: the path cannot be read as a submission.
        OptionError: profile, device or an item of `only` does not exist, or `out` holds files that a person wrote.
        OSError: the reports cannot be written.
    """
    began, spec = time.monotonic(), load_spec()
    selection = selection_of(spec, options)
    if out is not None and (found := obstacle(out)):
        raise OptionError(found)
    step = progress.start("reading the submission")
    submission = read_submission(path, spec)
    answers = extract(submission, spec)
    attempted = sum(answer.state == "present" for answer in answers.slots.values())
    step.done(f"{attempted} of {len(spec.slots)} slots attempted")
    with open_run(spec, answers, selection, options, progress) as run:
        results = grade_items(run)
    graded = apply_rubric(spec, results)
    grading = Grading(graded, submission, answers, run_info(run, time.monotonic() - began), spec)
    return replace(grading, reports=write_reports(out, grading)) if out is not None else grading


def grade_items(run: GradingContext) -> dict[str, ItemResult]:
    """Run the steps in order; each gets the results of those before it. Only the selected items are returned."""
    results: dict[str, ItemResult] = {}
    for step in STEPS:
        results |= step(run, results)
    return {item: result for item, result in results.items() if item in run.selection}
