"""Running the study: each missing (subject, seed) trains once and adds one line to its stage's table."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from autograder.calibration.statistics import STATISTICS
from autograder.calibration.subjects import Kind, Subject, subjects
from autograder.training.outcome import Failure
from autograder.training.run import StageOutcome, run_stage
from autograder.training.stage import Lab, Stage

if TYPE_CHECKING:
    from autograder.lanes import Lanes
    from autograder.sandbox import WorkerSession

RUNS = Path(__file__).with_name("runs")
SEEDS: dict[Kind, int] = {"reference": 40, "variant": 5, "near_miss": 10}
FIRST_SEED = 7001  # seeds of the study, so that a run by hand with a small seed is not one of them


@dataclass(frozen=True)
class Job:
    """One run that the study asks for."""

    subject: Subject
    seed: int
    key: str


def fields(stage: Stage) -> list[str]:
    """Columns of a stage's table. status: "measured", or why there was nothing to measure."""
    names = [one.name for one in STATISTICS if one.item in stage.items]
    verdicts = [f"{item}.{what}" for item in stage.items for what in ("passed", "near")]
    return ["subject", "seed", "key", "status", "seconds", *names, *verdicts]


def table(stage: Stage, folder: Path = RUNS) -> Path:
    """Where a stage's runs are kept."""
    return folder / f"{stage.op}.csv"


def rows(stage: Stage, folder: Path = RUNS) -> list[dict[str, str]]:
    """All lines of a stage's table."""
    path = table(stage, folder)
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_key(lab: Lab, subject: Subject, seed: int) -> str:
    """Hash of all that a run depends on, bars left out: another bar judges the same run anew."""
    bars = lab.bars
    sizes = (
        bars.sft_loss_trend.examples,
        bars.rm_accuracy.pairs,
        bars.rm_accuracy.style_replies,
        bars.ppo_reward.prompts,
        bars.ppo_kl.prompts,
    )
    parts = [
        subject.code.key,
        seed,
        asdict(lab.profile),
        sizes,
        lab.reference.key,
        lab.device,
        lab.spec.threads,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def jobs(lab: Lab, only: Sequence[str] = (), seeds: dict[Kind, int] | None = None) -> list[Job]:
    """Every run of the study, first seeds first, so that a study cut short is short everywhere.

    only: operations of stages or ids of subjects; none means all.
    """
    counts = seeds or SEEDS
    chosen = [s for s in subjects() if not only or {s.id, s.stage.op} & set(only)]
    pairs = [(seed, subject) for subject in chosen for seed in range(counts[subject.kind])]
    order = sorted(pairs, key=lambda pair: pair[0])
    return [Job(s, FIRST_SEED + i, run_key(lab, s, FIRST_SEED + i)) for i, s in order]


def missing(wanted: Sequence[Job], folder: Path = RUNS) -> list[Job]:
    """Jobs whose line is not in the tables yet."""
    done = {row["key"] for stage in {job.subject.stage for job in wanted} for row in rows(stage, folder)}
    return [job for job in wanted if job.key not in done]


def current(lab: Lab, folder: Path = RUNS) -> Iterator[tuple[Subject, list[dict[str, str]]]]:
    """Each subject with its lines that belong to today's code, artefacts and configs, by seed."""
    by_stage = {stage.op: {row["key"]: row for row in rows(stage, folder)} for stage in _stages()}
    for subject in subjects():
        found = [
            by_stage[subject.stage.op].get(run_key(lab, subject, FIRST_SEED + i)) for i in range(SEEDS[subject.kind])
        ]
        yield subject, [row for row in found if row is not None]


def run(
    lab: Lab,
    work: Iterable[Job],
    lanes: Lanes,
    folder: Path = RUNS,
    on_done: Callable[[Job, dict[str, str]], None] = lambda job, row: None,
    until: float = float("inf"),
) -> None:
    """Run the jobs, as many side by side as there are lanes, each line written as soon as it is measured.

    until: no job is begun later than this, by time.monotonic().
    """
    writing = Lock()

    def measured(job: Job, session: WorkerSession) -> None:
        if time.monotonic() >= until:
            return
        session.seed, began = job.seed, time.monotonic()  # random numbers start as in a grade with this seed
        found = run_stage(session, lab, job.subject.stage, job.subject.code, job.seed)
        row = line(job, found, time.monotonic() - began)
        with writing:
            append(job.subject.stage, row, folder)
            on_done(job, row)

    lanes.run([partial(measured, job) for job in work])


def line(job: Job, found: StageOutcome, seconds: float) -> dict[str, str]:
    """A run as a line of its stage's table."""
    row = dict.fromkeys(fields(job.subject.stage), "")
    row |= {"subject": job.subject.id, "seed": str(job.seed), "key": job.key, "seconds": f"{seconds:.1f}"}
    if isinstance(found, Failure):
        return row | {"status": found.status}
    for one in STATISTICS:
        if one.item in found:
            row[one.name] = f"{one.read(found[one.item].evidence):.5g}"
    for item, outcome in found.items():
        row |= {f"{item}.passed": str(int(outcome.passed)), f"{item}.near": str(int(outcome.near))}
    return row | {"status": "measured"}


def append(stage: Stage, row: dict[str, str], folder: Path = RUNS) -> None:
    """Add a line to a stage's table, with the heading if it is new."""
    folder.mkdir(parents=True, exist_ok=True)
    path = table(stage, folder)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields(stage), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _stages() -> set[Stage]:
    return {subject.stage for subject in subjects()}
