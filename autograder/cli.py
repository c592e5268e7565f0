"""The console script `rlhf-lab`. `grade` and `doctor` are defined here; other rooms register the other commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assignment.cli import register
from assignment.console import make_console, spinner
from autograder.calibration.command import register as register_calibrate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from assignment.registry import Spec
    from autograder.core.options import Options
    from autograder.core.records import Grading

GRADED, UNREADABLE, FAILED = 0, 2, 3

GRADE_HELP = """Grade one submission: a notebook, or a zip that holds one.

Prints the rubric table; writes report.json, report.html (for the TA), feedback.html (for the
student) and results.json (Gradescope) into the folder of --out, where reports of an earlier run are
replaced. A file of yours with one of these names, or a report that you edited, is kept: the command
says so and ends before it grades.

Exit code 0: graded, whatever the score. 2: the path cannot be read as a submission. 3: a grader
error; the items that could not be graded are listed and cost no points.

The seed repeats a run exactly and is in every report: --seed 1234.
"""
DOCTOR_HELP = """Check what this machine offers for grading, by trying it.

Each sandbox tier that starts here is attacked from inside: network, foreign files, the grader's
environment and processes, daemons, fork, memory and disk bombs, and the GPU if there is one. Prints
which attacks each tier stops, and what would improve it. Takes about 20 seconds per tier.

Exit code 1 if submissions cannot be graded safely here.
"""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help and usage errors are plain text too: a bracket is a bracket
    help="One assignment on RLHF: build the release, verify it, grade submissions.",
)


@app.command("grade", help=GRADE_HELP, short_help="Grade one submission: a notebook, or a zip that holds one.")
def grade_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An .ipynb, or a zip with one.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the reports.")] = Path("report"),
    profile: Annotated[str, typer.Option("--profile", help="Which training set-up to grade with.")] = "tiny",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    seed: Annotated[
        int | None, typer.Option("--seed", help="The seed of a run to repeat; drawn at random if left out.")
    ] = None,
    only: Annotated[str, typer.Option("--only", help="Items to grade, with commas between: T07,rm_accuracy.")] = "",
    require_tier: Annotated[
        int | None, typer.Option("--require-tier", metavar="N", help="Worst sandbox accepted: 1, 2 or 3 (see doctor).")
    ] = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="If no sandbox works, run without one. Only for your own code.")
    ] = False,
) -> None:
    """Grade, print the rubric table and the paths of the reports."""
    from autograder.core.options import Options

    errors = make_console(stderr=True)
    items = tuple(item.strip() for item in only.split(",") if item.strip())
    grading = _graded(path, out, Options(profile, device, seed, items, require_tier, unsafe), errors)
    _show(grading, errors)
    if grading.failed_here:
        raise typer.Exit(FAILED)


def _graded(path: Path, out: Path, options: Options, errors: Console) -> Grading:
    """Grade the submission. Raises typer.Exit after one sentence, without a traceback, if it cannot be graded."""
    from autograder.core.failures import LOG
    from autograder.core.options import OptionError
    from autograder.core.progress import GradingProgress
    from autograder.core.text import one_line
    from autograder.grading.run import grade_submission
    from autograder.submission.intake import IntakeError

    try:
        with GradingProgress() as progress:
            return grade_submission(path, out, options, progress)
    except IntakeError as error:
        raise _stop(errors, f"Not graded. {error}", UNREADABLE) from None
    except OptionError as error:
        raise _stop(errors, f"Not graded. {error}", FAILED) from None
    except OSError as error:
        reason = (error.strerror or str(error)).rstrip(".")
        raise _stop(errors, f"The reports could not be written into {out}: {reason}.", FAILED) from None
    except Exception as error:  # noqa: BLE001 - any other error is the grader's: no traceback, and no student loses by it
        LOG.debug("grader failure", exc_info=True)
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise _stop(errors, f"Not graded: the grader failed ({reason}). Grade again.", FAILED) from None


@app.command("doctor", help=DOCTOR_HELP, short_help="Check what this machine offers for grading.")
def doctor_command(
    every_way: Annotated[
        bool, typer.Option("--every-way", help="Try every way to make a tier, not only the first that starts.")
    ] = False,
) -> None:
    """Print a line per finding, then a table of the attacks on each tier."""
    from assignment.registry import load_spec
    from autograder import doctor
    from autograder.doctor.advice import advice, this_machine
    from autograder.doctor.findings import findings

    console, healthy = make_console(), True
    for finding in findings(load_spec()):
        healthy &= finding.ok
        console.print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what:<20} {finding.detail}", soft_wrap=True)
    with spinner(make_console(stderr=True), "looking for sandboxes") as note:
        found = list(doctor.probe_tiers(every_way=every_way, on_progress=note))
    console.print(doctor.tier_table(found))
    for line in (*doctor.tier_details(found), *advice(this_machine(), found)):
        console.print(line, soft_wrap=True)
    if not healthy or not any(doctor.is_safe(tier) for tier in found):
        raise typer.Exit(1)


def slot_problems(spec: Spec) -> Iterable[str]:
    """What the grader lacks for the slots, for the release gate. Its modules are imported only when it runs."""
    from autograder.slots.completeness import problems

    return problems(spec)


def main() -> None:
    """Run the console script. Ctrl-C ends it without a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


def _show(grading: Grading, errors: Console) -> None:
    """Print the rubric table, the paths of the reports, and the items that a grader error left open."""
    from autograder.report.terminal import print_rubric

    print_rubric(grading)
    console = make_console()
    for name in ("report.html", "feedback.html", "report.json", "results.json"):
        if name in grading.reports:
            console.print(str(grading.reports[name]), soft_wrap=True)
    if grading.failed_here:
        errors.print(
            f"The grader failed at: {', '.join(grading.failed_here)}. No points were lost by that; "
            "grade again with the same seed.",
            soft_wrap=True,
        )


def _stop(console: Console, message: str, code: int) -> typer.Exit:
    """Print the message and return the exception that ends the command."""
    console.print(message, soft_wrap=True)
    return typer.Exit(code)


register(app, slot_checks=(slot_problems,))
register_calibrate(app)

if __name__ == "__main__":
    main()
