"""`rlhf-lab calibrate`: run what is missing of the study, and write its document."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from assignment.console import make_console
from autograder.calibration import DOCUMENT, RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autograder.calibration.study import Job
    from autograder.training.stage import Lab

CALIBRATE_HELP = """Measure how often right and wrong code passes each training test, over seeds.

Runs what is missing of the study: the reference, correct variants, and wrong solutions that almost pass. The
first line says how long that takes; all of it takes three to four hours on two cores. Each run is saved in
autograder/calibration/runs/ as soon as it ends: stop with Ctrl-C at any time, and the next call continues
there. Then docs/calibration.md and its figures are written from all runs. Runs of older code, data or
configs are kept until the same seed has run again, and the last line counts them.

Half an hour at a time: rlhf-lab calibrate --minutes 30. The document alone: --minutes 0.
One stage or subject: --only stage_sft, --only ppo_no_kl.

Exits with 0 if every run got the right verdict, with 1 if not or after an error, with 130 after Ctrl-C.
"""
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command `calibrate` to an app."""
    short = "Measure how often code passes each training test."
    app.command("calibrate", help=CALIBRATE_HELP, short_help=short)(calibrate_command)


def calibrate_command(
    minutes: Annotated[float, typer.Option("--minutes", help="Start no run after this many minutes.")] = float("inf"),
    only: Annotated[str, typer.Option("--only", help="Stages or subjects, separated by commas.")] = "",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Run what is missing, write the document, and print how complete the study is."""
    import rlhf_kit as kit
    from assignment.registry import load_spec
    from autograder.calibration import study
    from autograder.calibration.tables import TableError
    from autograder.core.options import OptionError
    from autograder.reference.models import load_reference
    from autograder.sandbox import SandboxError
    from autograder.sandbox.devices import find_device
    from autograder.training.stage import Lab

    console, code = make_console(stderr=True), 0
    names = [name.strip() for name in only.split(",") if name.strip()]
    try:
        lab = Lab(load_reference(), load_spec(), kit.get_profile(), find_device(device))
        wanted = study.jobs(lab, names)
        if not wanted:
            raise OptionError(f"No stage or subject called {', '.join(names)}.")
        work = study.missing(wanted)
    except (OptionError, TableError) as error:
        console.print(str(error), soft_wrap=True)
        raise typer.Exit(1) from None
    console.print(f"{len(work)} of {len(wanted)} runs are missing{_duration(lab, work)}.", soft_wrap=True)
    try:
        _run(lab, work, minutes * 60)
    except KeyboardInterrupt:
        console.print("Stopped. What was measured is kept; the next call continues from there.")
        code = INTERRUPTED
    except SandboxError as error:
        console.print(f"The sandbox failed: {error}. What was measured is kept.", soft_wrap=True)
        code = 1
    wrong = report(lab)
    raise typer.Exit(code or wrong)


def report(lab: Lab, folder: Path = RUNS, path: Path = DOCUMENT) -> int:
    """Write the document from the tables, and print how complete the study is. Returns 1 if a verdict is wrong, else
    0."""
    from autograder.calibration import document, study
    from autograder.calibration.document import Study
    from autograder.calibration.findings import findings, wrong_verdicts_by_item

    console = make_console(soft_wrap=True)
    runs, everything = list(study.measured(lab.spec, folder)), study.jobs(lab)
    found = findings(runs, lab.thresholds)
    done, old = len(everything) - len(study.missing(everything, folder)), study.outdated(lab, runs)
    document.write(found, Study(runs, old, lab.spec), path)
    wrong = wrong_verdicts_by_item(found)
    for (subject, item), (count, n) in wrong.items():
        console.print(f"{item}: {subject} got the wrong verdict in {count} of {n} runs")
    stale = f" · {old} of older code, data or configs" if old else ""
    total = sum(count for count, _ in wrong.values())
    console.print(f"calibration {done}/{len(everything)} runs{stale} · {total} wrong verdicts · {path}")
    return int(bool(wrong))


def _duration(lab: Lab, work: Sequence[Job]) -> str:
    """Return how long the work takes, estimated from what the reference needs, as the end of a sentence."""
    workers = 1 if lab.device == "cuda" else min(lab.spec.parallel_stages, len(os.sched_getaffinity(0)))
    minutes = sum(job.seconds for job in work) / workers / 60
    return f", about {minutes:.0f} minutes on {workers} core{'s' if workers > 1 else ''}" if work else ""


def _run(lab: Lab, work: Sequence[Job], seconds: float) -> None:
    """Run the jobs with a progress bar; none is started after so many seconds."""
    from tqdm.auto import tqdm

    from autograder.calibration.study import run
    from autograder.sandbox import WorkerSession
    from autograder.sandbox.pool import open_pool
    from autograder.training.prepare import configure_torch

    if not work or seconds <= 0:
        return
    configure_torch(lab.spec)
    until = time.monotonic() + seconds
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} to go{postfix}"
    with (
        tqdm(total=sum(job.seconds for job in work), desc="calibrate", smoothing=0.05, bar_format=layout) as bar,
        WorkerSession(device=lab.device) as session,
        open_pool(session, lab.spec.parallel_stages) as pool,
    ):
        done: list[Job] = []

        def on_done(job: Job, row: dict[str, str]) -> None:
            done.append(job)
            last = f"{job.subject.id} {row['status']} in {row['seconds']} s"
            bar.set_postfix_str(f"{len(done)}/{len(work)} runs · {last}", refresh=False)
            bar.update(job.seconds)  # in the reference's seconds, so that the remaining time can be estimated

        run(lab, work, pool, on_done=on_done, until=until)
