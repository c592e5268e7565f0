"""Running the study: each missing (subject, seed) trains once and adds one line to its stage's table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from assignment.registry import Spec
from autograder.calibration import RUNS
from autograder.calibration.code import code_hash, digest
from autograder.calibration.subjects import Kind, Subject, subjects
from autograder.calibration.tables import MEASURED, append, line, rows
from autograder.training.run import STAGES, StageRun, run_stage
from autograder.training.stage import Lab, Stage

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession
    from autograder.sandbox.pool import WorkerPool

SEEDS: dict[Kind, int] = {"reference": 40, "near_miss": 10, "variant": 5}  # the first one runs first
FIRST_SEED = 7001  # seeds of the study, so that a run by hand with a small seed is not one of them


@dataclass(frozen=True)
class Job:
    """One run that the study asks for. seconds: what the reference needs for it."""

    subject: Subject
    seed: int
    key: str
    state: str
    seconds: float


def state(lab: Lab, stage: Stage) -> str:
    """Hash of what all runs of a stage depend on: code, data, configs, and how many hidden rows there are. Bars are
    left out: another bar judges the same run anew."""
    bars = lab.bars
    sizes = (
        bars.sft_loss_trend.examples,
        bars.rm_accuracy.pairs,
        bars.rm_accuracy.confidence,
        bars.rm_accuracy.style_replies,
        bars.ppo_reward.prompts,
        bars.ppo_kl.prompts,
        bars.comparison.prompts,
    )
    parts = [asdict(lab.profile), sizes, lab.reference.key, lab.spec.threads]
    return digest(code_hash(stage), json.dumps(parts, sort_keys=True))


def run_key(lab: Lab, subject: Subject, seed: int, device: str = "") -> str:
    """Hash of all that a run depends on, on the lab's device or another."""
    return digest(state(lab, subject.stage), subject.key, str(seed), device or lab.device)


def jobs(lab: Lab, only: Sequence[str] = (), seeds: dict[Kind, int] | None = None) -> list[Job]:
    """Every run of the study: reference, near misses and variants in step, so that a study cut short is short
    everywhere; of those whose turn it is the reference first, then the longest, so that lanes end together.

    only: operations of stages or ids of subjects; none means all.
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
    """How many runs of a stage belong to the study."""
    return sum(SEEDS[subject.kind] for subject in subjects(spec) if subject.stage.op == op)


def missing(wanted: Sequence[Job], folder: Path = RUNS) -> list[Job]:
    """Jobs that are not in the tables yet, or gave no weights there: a machine in trouble gets another chance.
    Raises TableError."""
    lines = [row for stage in {job.subject.stage for job in wanted} for row in rows(stage, folder)]
    done = {row["key"] for row in lines if row["status"] == MEASURED}
    return [job for job in wanted if job.key not in done]


def measured(spec: Spec, folder: Path = RUNS) -> Iterator[tuple[Subject, list[dict[str, str]]]]:
    """Each subject with its lines by seed, of a seed that ran twice the later line. Raises TableError.

    They need not be of today's code: see `outdated`.
    """
    tables = {stage.op: rows(stage, folder) for stage in STAGES}
    for subject in subjects(spec):
        mine = {int(row["seed"]): row for row in tables[subject.stage.op] if row["subject"] == subject.id}
        yield subject, [mine[seed] for seed in sorted(mine)]


def outdated(lab: Lab, runs: Iterable[tuple[Subject, Sequence[dict[str, str]]]]) -> int:
    """How many of these runs belong to other code, data or configs than today's."""
    return sum(
        row["key"] != run_key(lab, subject, int(row["seed"]), row["device"]) for subject, some in runs for row in some
    )


def run(
    lab: Lab,
    work: Iterable[Job],
    lanes: WorkerPool,
    folder: Path = RUNS,
    on_done: Callable[[Job, dict[str, str]], None] = lambda job, row: None,
    until: float = float("inf"),
) -> None:
    """Run the jobs, as many side by side as there are lanes, each line written as soon as it is measured.

    until: no job is begun later than this, by time.monotonic().
    """
    writing = Lock()

    def measure(job: Job, session: WorkerSession) -> None:
        if time.monotonic() >= until:
            return
        session.seed, began = job.seed, time.monotonic()  # random numbers start as in a grade with this seed
        found = run_stage(session, StageRun(lab, job.subject.stage, job.subject.code, job.seed))
        about = {"subject": job.subject.id, "seed": str(job.seed), "key": job.key, "state": job.state,
                 "device": lab.device, "seconds": f"{time.monotonic() - began:.1f}"}  # fmt: skip
        row = line(job.subject.stage, about, found)
        with writing:
            append(job.subject.stage, row, folder)
            on_done(job, row)

    lanes.run([partial(measure, job) for job in work])
