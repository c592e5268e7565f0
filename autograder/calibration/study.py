"""Run the study: each missing (subject, seed) trains once and adds one line to its stage's table."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from autograder.calibration import RUNS
from autograder.calibration.code import code_hash, short_hash
from autograder.calibration.subjects import Kind, Subject, subjects
from autograder.calibration.tables import MEASURED, append, line, rows
from autograder.training.run import STAGES, StageRun, run_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from assignment.registry import Spec
    from autograder.sandbox import WorkerSession
    from autograder.sandbox.pool import WorkerPool
    from autograder.training.stage import Lab, Stage

SEEDS: dict[Kind, int] = {"reference": 40, "near_miss": 10, "variant": 5}  # seeds of a subject; earlier kinds run first
FIRST_SEED = 7001  # far from the small seeds of runs by hand, which are not part of the study


@dataclass(frozen=True)
class Job:
    """One run of the study. key, state: hashes of what it depends on. seconds: what the reference needs for such a
    run."""

    subject: Subject
    seed: int
    key: str
    state: str
    seconds: float


def state(lab: Lab, stage: Stage) -> str:
    """Return the hash of what all runs of a stage depend on: code, data, configs and the number of hidden rows.
    Thresholds are left out: if they change, the same runs get new verdicts."""
    thresholds = lab.thresholds
    sizes = (
        thresholds.sft_loss_trend.examples,
        thresholds.rm_accuracy.pairs,
        thresholds.rm_accuracy.confidence,
        thresholds.rm_accuracy.style_replies,
        thresholds.ppo_reward.prompts,
        thresholds.ppo_kl.prompts,
        thresholds.comparison.prompts,
    )
    parts = [asdict(lab.profile), sizes, lab.reference.key, lab.spec.threads]
    return short_hash(code_hash(stage), json.dumps(parts, sort_keys=True))


def run_key(lab: Lab, subject: Subject, seed: int, device: str = "") -> str:
    """Return the hash of all that a run depends on. device: the lab's, if none is given."""
    return short_hash(state(lab, subject.stage), subject.key, str(seed), device or lab.device)


def jobs(lab: Lab, only: Sequence[str] = (), seeds: dict[Kind, int] | None = None) -> list[Job]:
    """Return every run of the study in order. Interleave reference, wrong solutions and variants, so that an
    interrupted study covers all of them evenly. Among runs that are equally far, the reference comes first, then the
    longest runs, so that the workers end at about the same time.

    only: operations of stages or ids of subjects; empty for all.
    """
    counts = seeds or SEEDS
    rank, cost = {kind: i for i, kind in enumerate(counts)}, lab.spec.limits.reference
    chosen = [s for s in subjects(lab.spec) if not only or {s.id, s.stage.op} & set(only)]
    pairs = [(subject, i) for subject in chosen for i in range(counts[subject.kind])]
    pairs.sort(key=lambda p: (p[1] / counts[p[0].kind], rank[p[0].kind], -cost[p[0].stage.items[0]].wall_s))
    states = {stage.op: state(lab, stage) for stage in STAGES}
    return [
        Job(s, FIRST_SEED + i, run_key(lab, s, FIRST_SEED + i), states[s.stage.op], cost[s.stage.items[0]].wall_s)
        for s, i in pairs
    ]


def runs_wanted(spec: Spec, op: str) -> int:
    """Return the number of runs of a stage that belong to the study."""
    return sum(SEEDS[subject.kind] for subject in subjects(spec) if subject.stage.op == op)


def missing(wanted: Sequence[Job], folder: Path = RUNS) -> list[Job]:
    """Return the jobs that are not in the tables, or gave no weights: a machine may have failed, so they run again.

    Raises:
        TableError: a table is malformed.
    """
    lines = [row for stage in {job.subject.stage for job in wanted} for row in rows(stage, folder)]
    done = {row["key"] for row in lines if row["status"] == MEASURED}
    return [job for job in wanted if job.key not in done]


def measured(spec: Spec, folder: Path = RUNS) -> Iterator[tuple[Subject, list[dict[str, str]]]]:
    """Yield each subject with its lines in order of seeds; if a seed ran twice, the later line. The lines may be of
    older code: see `outdated`.

    Raises:
        TableError: a table is malformed.
    """
    tables = {stage.op: rows(stage, folder) for stage in STAGES}
    for subject in subjects(spec):
        mine = {int(row["seed"]): row for row in tables[subject.stage.op] if row["subject"] == subject.id}
        yield subject, [mine[seed] for seed in sorted(mine)]


def outdated(lab: Lab, runs: Iterable[tuple[Subject, Sequence[dict[str, str]]]]) -> int:
    """Return how many of these runs belong to other code, data or configs than today's."""
    return sum(
        row["key"] != run_key(lab, subject, int(row["seed"]), row["device"]) for subject, some in runs for row in some
    )


def run(
    lab: Lab,
    work: Iterable[Job],
    pool: WorkerPool,
    folder: Path = RUNS,
    on_done: Callable[[Job, dict[str, str]], None] = lambda *_: None,
    until: float = float("inf"),
) -> None:
    """Run the jobs on the workers of the pool, and write each line as soon as it is measured.

    on_done: is called after each job with its line. until: no job starts after this time of time.monotonic().
    """
    writing = Lock()

    def measure(job: Job, session: WorkerSession) -> None:
        if time.monotonic() >= until:
            return
        session.seed, began = job.seed, time.monotonic()  # the worker's random state, as when grading with this seed
        found = run_stage(session, StageRun(lab, job.subject.stage, job.subject.code, job.seed))
        about = {"subject": job.subject.id, "seed": str(job.seed), "key": job.key, "state": job.state,
                 "device": lab.device, "seconds": f"{time.monotonic() - began:.1f}"}  # fmt: skip
        row = line(job.subject.stage, about, found)
        with writing:
            append(job.subject.stage, row, folder)
            on_done(job, row)

    pool.run([partial(measure, job) for job in work])
