"""One submission from file to reports: intake, extract, sandbox, judge, training, quality, rubric, report.

The worker starts first and imports its libraries while the grader imports its own; the data of the
training tests are drawn while slots are tested. A failure of ours never costs points: the item is
`not_gradable`, and says so.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.registry import Spec, load_spec
from autograder.core.failures import guarded, not_gradable
from autograder.core.records import Answers, Graded, ItemResult, Run, Submission, SuccessCriterion
from autograder.core.rubric import grade as apply_rubric
from autograder.core.selection import Selection, select
from autograder.report import obstacle, write_reports
from autograder.report.terminal import GradingProgress
from autograder.submission.extraction import extract
from autograder.submission.intake import read_submission

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession

NO_SANDBOX = "not needed"
SEED_BITS = 31


class OptionError(ValueError):
    """An option of the run cannot be met; the message says what to choose instead."""


@dataclass(frozen=True)
class Options:
    """profile: of the registry. device: "auto", "cpu" or "cuda". seed: None draws one. only: rubric items.
    require_tier: the worst sandbox accepted (None: any that isolates). unsafe: grade without one if need be."""

    profile: str = "tiny"
    device: str = "auto"
    seed: int | None = None
    only: tuple[str, ...] = ()
    require_tier: int | None = None
    unsafe: bool = False


@dataclass(frozen=True)
class Grading:
    """A graded submission with all that its reports were made of; `reports` are their paths by name."""

    graded: Graded
    submission: Submission
    answers: Answers
    run: Run
    spec: Spec
    reports: Mapping[str, Path] = field(default_factory=dict)

    @property
    def failed_here(self) -> tuple[str, ...]:
        """Items that our own failure left open."""
        items = [item.result for criterion in self.graded.criteria for item in criterion.items]
        return tuple(result.id for result in items if result.status == "not_gradable")


def grade(path: Path | str, out: Path | None = None, options: Options | None = None) -> Graded:
    """Grade one submission silently; see `grade_submission`."""
    return grade_submission(path, out, options or Options(), GradingProgress(quiet=True)).graded


def grade_submission(
    path: Path | str, out: Path | None, options: Options, progress: GradingProgress
) -> Grading:
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
    seed = secrets.randbits(SEED_BITS) if options.seed is None else options.seed
    step = progress.start("reading the submission")
    submission = read_submission(path, spec)
    answers = extract(submission, spec)
    attempted = sum(answer.state == "present" for answer in answers.slots.values())
    step.done(f"{attempted} of {len(spec.slots)} slots attempted")
    device = find_device(options.device)
    with opened(answers, selection, device, seed, options) as (session, tier):
        results, criteria = guarded(
            lambda: run_all(session, spec, answers, selection, options.profile, device, seed, progress),
            lambda reason, trace: ({item: not_gradable(item, reason, trace) for item in selection.items}, {}),
        )
    graded = apply_rubric(spec, results, criteria)
    limits = session.tier.limits if session is not None else ""
    run = Run(
        spec.version, seed, options.profile, device_name(device), tier, spec.threads, time.monotonic() - began,
        limits,
    )  # fmt: skip
    reports = write_reports(out, graded, submission, answers, run, spec) if out is not None else {}
    return Grading(graded, submission, answers, run, spec, reports)


def checked(spec: Spec, options: Options) -> Selection:
    """The items to grade; OptionError for a profile or an item that the registry does not have."""
    if options.profile not in spec.profiles:
        raise OptionError(
            f"This release grades the profile {', '.join(spec.profiles)} only, not {options.profile}."
        )
    unknown = [item for item in options.only if item not in spec.items]
    if unknown:
        raise OptionError(f"No item called {', '.join(unknown)}; there are: {', '.join(spec.items)}.")
    if options.seed is not None and not 0 <= options.seed < 1 << SEED_BITS:
        raise OptionError(f"The seed is a number from 0 to {(1 << SEED_BITS) - 1}.")
    if options.require_tier is not None and options.require_tier not in (1, 2, 3):
        raise OptionError("A required tier is 1 (isolated), 2 (isolated, soft memory) or 3 (restricted).")
    if options.require_tier is not None and options.unsafe:
        raise OptionError("A required tier and --unsafe contradict each other: give one of the two.")
    return select(spec, options.only)


def find_device(wanted: str) -> str:
    """The device to train on: "auto" takes a GPU if there is one. OptionError if it cannot be had."""
    from autograder.sandbox.environment import cuda_devices

    if wanted not in ("auto", "cpu", "cuda"):
        raise OptionError(f"No device called {wanted}: choose auto, cpu or cuda.")
    if wanted == "cpu" or not cuda_devices():
        found = False
    else:
        import torch  # late: without a GPU the worker's start need not wait for this import

        found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise OptionError("No CUDA device is usable here: choose --device cpu.")
    return "cuda" if found else "cpu"


def device_name(device: str) -> str:
    """The device with its product name, for the report."""
    if device == "cpu":
        return device
    import torch

    return f"cuda ({torch.cuda.get_device_name()})"


@contextlib.contextmanager
def opened(
    answers: Answers, selection: Selection, device: str, seed: int, options: Options
) -> Iterator[tuple[WorkerSession | None, str]]:
    """A worker session and its tier's name; no session if nothing is to be run, or no sandbox works."""
    from autograder.sandbox import SandboxError, WorkerSession

    if not selection.needs_worker(answers):
        yield None, NO_SANDBOX
        return
    try:
        session = WorkerSession(device=device, seed=seed, tier=options.require_tier, unsafe=options.unsafe)
    except SandboxError as error:
        yield None, f"none: {error}"
        return
    with session:
        yield session, session.tier.name


def run_all(
    session: WorkerSession | None,
    spec: Spec,
    answers: Answers,
    selection: Selection,
    profile: str,
    device: str,
    seed: int,
    progress: GradingProgress,
) -> tuple[dict[str, ItemResult], dict[str, SuccessCriterion]]:
    """Results of the selected items and success criteria."""
    from autograder.grading.steps import judge_slots, run_quality, run_training, written_result

    lost = session is None and selection.needs_worker(answers)
    with contextlib.ExitStack() as stack:
        prepared = lanes = None
        trainable = selection.trainable(spec, answers)
        if session is not None and trainable:
            from autograder.sandbox.pool import open_lanes
            from autograder.training.prepare import Preparation

            prepared = stack.enter_context(Preparation(spec, profile, device, seed, trainable))
            lanes = stack.enter_context(open_lanes(session, min(spec.lanes, prepared.stages)))
        slots = judge_slots(session, spec, answers, selection.slots_needed, seed, progress, lost=lost)
        results = {id_: result for id_, result in slots.items() if id_ in selection.items}
        found, criteria = run_training(
            lanes, prepared, spec, profile, answers, slots, selection, seed, progress
        )
        results |= found
    results |= run_quality(session, spec, answers, selection, progress, slots)
    if "written_comparison" in selection.items:
        results["written_comparison"] = written_result(spec, answers)
    return results, criteria
