"""Open a grading run: choose its device and seed, start its sandbox, and begin to prepare the training tests."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from autograder.context import GradingContext, TrainingRuntime
from autograder.core.failures import GraderFailure, guarded
from autograder.core.options import SEED_BITS, Options
from autograder.core.records import Answers, RunInfo
from autograder.sandbox.devices import device_name, find_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assignment.registry import Spec
    from autograder.core.progress import GradingProgress
    from autograder.core.selection import Selection
    from autograder.sandbox import WorkerSession

NOT_NEEDED = "not needed"  # the tier in the report if there is nothing to run


@contextlib.contextmanager
def open_run(
    spec: Spec, answers: Answers, selection: Selection, options: Options, progress: GradingProgress
) -> Iterator[GradingContext]:
    """Open a grading run, with a sandbox and the preparation of training tests if there is something to run.

    Raises OptionError for a device that is not usable.
    """
    seed = secrets.randbits(SEED_BITS) if options.seed is None else options.seed
    run = GradingContext(spec, answers, selection, options.profile, find_device(options.device), seed, progress)
    with contextlib.ExitStack() as stack:
        session, tier = open_session(run, options) if selection.needs_worker(answers) else (None, NOT_NEEDED)
        if session is not None:
            stack.enter_context(session)
        run = replace(run, session=session, tier=tier)
        yield replace(run, training=open_training(run, stack))


def open_session(run: GradingContext, options: Options) -> tuple[WorkerSession | None, str]:
    """Start a worker session. Returns it with the name of its tier; None and the reason if no sandbox works."""
    from autograder.sandbox import SandboxError, WorkerSession

    try:
        session = WorkerSession(device=run.device, seed=run.seed, tier=options.require_tier, unsafe=options.unsafe)
    except SandboxError as error:
        return None, f"none: {error}"
    return session, session.tier.name


def _failed(failure: GraderFailure, _run: GradingContext, _stack: contextlib.ExitStack) -> GraderFailure:
    return failure


@guarded(_failed)
def open_training(run: GradingContext, stack: contextlib.ExitStack) -> TrainingRuntime | GraderFailure | None:
    """Begin to draw the data of the training tests and to start more workers; None if nothing is to be trained."""
    trainable = run.selection.trainable(run.spec, run.answers)
    if run.session is None or not trainable:
        return None
    from autograder.sandbox.pool import open_pool
    from autograder.training.prepare import Preparation

    inputs = stack.enter_context(Preparation(run.spec, run.profile, run.device, run.seed, trainable))
    workers = min(run.spec.parallel_stages, inputs.stages)
    return TrainingRuntime(stack.enter_context(open_pool(run.session, workers)), inputs)


def run_info(run: GradingContext, seconds: float) -> RunInfo:
    """How this run graded, as the reports show it."""
    limits = run.session.tier.limits if run.session is not None else ""
    device, threads = device_name(run.device), run.spec.threads
    return RunInfo(run.spec.version, run.seed, run.profile, device, run.tier, threads, seconds, limits)
