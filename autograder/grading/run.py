"""One submission from file to reports: read, extract, sandbox, slots, training, quality, written, rubric, report.

The worker starts first and imports its libraries while the grader imports its own; the data of the
training tests are drawn while slots are tested. A failure of the grader never costs points: the item is
`not_gradable`, and says so.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from assignment.registry import load_spec
from autograder.context import GradingContext, GradingStep
from autograder.core.options import OptionError, Options, checked
from autograder.core.progress import GradingProgress
from autograder.core.records import Graded, Grading, ItemResult
from autograder.core.rubric import apply_rubric
from autograder.grading.opened import open_run, run_info
from autograder.grading.written import collect_written_answers
from autograder.quality.step import check_quality
from autograder.report import obstacle, write_reports
from autograder.slots.step import run_slot_tests
from autograder.submission.extraction import extract
from autograder.submission.intake import read_submission
from autograder.training.step import run_training_tests

STEPS: tuple[GradingStep, ...] = (run_slot_tests, run_training_tests, check_quality, collect_written_answers)


def grade(path: Path | str, out: Path | None = None, options: Options | None = None) -> Graded:
    """Grade one submission silently; see `grade_submission`."""
    return grade_submission(path, out, options or Options(), GradingProgress(quiet=True)).graded


def grade_submission(path: Path | str, out: Path | None, options: Options, progress: GradingProgress) -> Grading:
    """Grade one submission; with `out`, write its reports there.

    Raises:
        IntakeError: the path cannot be read as a submission.
        OptionError: profile, device or an item of `only` is not there, or `out` holds files that are not ours.
        OSError: the reports cannot be written.
    """
    began, spec = time.monotonic(), load_spec()
    selection = checked(spec, options)
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
    """Each step in order; a step sees the results of those before it. Only selected items are given back."""
    results: dict[str, ItemResult] = {}
    for step in STEPS:
        results |= step(run, results)
    return {item: result for item, result in results.items() if item in run.selection}
