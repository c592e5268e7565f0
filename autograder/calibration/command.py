"""`rlhf-lab calibrate`: run what is missing of the study, write its document."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autograder.calibration.study import Job
    from autograder.training.stage import Lab

CALIBRATE_HELP = """Measure how often right and wrong code passes each training test, over seeds.

Runs what is missing of the study: the reference on 40 seeds, right variants on 5, near misses on 10,
about 2.5 hours on two cores in all. Each run is written to autograder/calibration/runs/ when it is
done: stop with Ctrl-C whenever you like, the next call goes on there. Then docs/calibration.md and its
figures are written from all runs that belong to today's code, data and configs.

A sitting of half an hour: rlhf-lab calibrate --minutes 30. The document alone: --minutes 0.
One stage or subject: --only stage_sft, --only ppo_no_kl.
"""


def register(app: typer.Typer) -> None:
    """Add the command `calibrate` to an app."""
    app.command("calibrate", help=CALIBRATE_HELP)(calibrate_command)


def calibrate_command(
    minutes: Annotated[float, typer.Option("--minutes", help="Start no run after this many.")] = float("inf"),
    only: Annotated[str, typer.Option("--only", help="Stages or subjects, with commas between.")] = "",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Run, write, print a line per item."""
    import rlhf_kit as kit
    from assignment.spec import load_spec
    from autograder.calibration import document, study
    from autograder.calibration.findings import findings
    from autograder.grade import OptionError, find_device
    from autograder.reference import load_reference
    from autograder.report.terminal import make_console
    from autograder.training.stage import Lab

    console = make_console(stderr=True)
    try:
        found_device = find_device(device)
    except OptionError as error:
        console.print(str(error), soft_wrap=True)
        raise typer.Exit(1) from None
    spec = load_spec()
    lab = Lab(load_reference(), spec, kit.get_profile(), found_device)
    names = [name.strip() for name in only.split(",") if name.strip()]
    wanted = study.jobs(lab, names)
    if not wanted:
        console.print(f"No stage or subject called {', '.join(names)}.")
        raise typer.Exit(1)
    work = study.missing(wanted)
    try:
        _run(lab, work, minutes * 60)
    except KeyboardInterrupt:
        console.print("Stopped. What was measured is kept; the next call goes on from there.")
    runs = list(study.current(lab))
    found = findings(runs, lab.bars)
    document.write(found, lab.bars)
    left = len(study.missing(study.jobs(lab)))
    total = len(study.jobs(lab))
    wrong = sum(one.mistakes for one in found)
    print(f"calibration {total - left}/{total} runs · {wrong} judged wrongly · {document.DOCUMENT}")


def _run(lab: Lab, work: Sequence[Job], seconds: float) -> None:
    from tqdm.auto import tqdm

    from autograder.calibration.study import run
    from autograder.lanes import open_lanes
    from autograder.sandbox import WorkerSession
    from autograder.training.prepare import settle

    if not work or seconds <= 0:
        return
    settle(lab.spec)
    until = time.monotonic() + seconds
    with (
        tqdm(total=len(work), unit="run", desc="calibrate", smoothing=0.05) as bar,
        WorkerSession(device=lab.device) as session,
        open_lanes(session, lab.spec.lanes) as lanes,
    ):

        def on_done(job: Job, row: dict[str, str]) -> None:
            bar.set_postfix_str(f"{job.subject.id} {row['status']} {row['seconds']} s", refresh=False)
            bar.update()

        run(lab, work, lanes, on_done=on_done, until=until)
