"""Define the instructor's commands, `build`, `verify` and `new-slot`, which autograder/cli.py adds to `rlhf-lab`.

Each command imports what it needs when it runs, so that other commands start quickly.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from assignment.console import labelled, make_console, spinner
from assignment.slots.command import NEW_SLOT_HELP, new_slot_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from assignment.release.release import Layout, Release
    from assignment.verify.gate import GateResult, SlotCheck

BUILD_HELP = """Build the student release: student_template/ and dist/rlhf-student.zip.

The parts solutions/p1_*.py … p9_*.py become one notebook. In each slot, the code from # BEGIN SOLUTION T07
to # END SOLUTION is replaced by raise NotImplementedError("T07: …"); the rest of the cell stays. Titles,
points and thresholds come from assignment/registry/assignment.toml.

The same sources always give the same bytes: commit what a build writes. A generated file that somebody
edited, such as a notebook solved in student_template/, is not replaced: the command names it and stops.

After a change of a slot, make refresh also renews everything else that depends on it.

\b
Examples:
  rlhf-lab build              after a change in solutions/ or in the registry
  rlhf-lab build --check      write nothing; exit code 1 if a build is needed
  rlhf-lab build --html       also write the notebook as web pages that need no
                              network: dist/html/handout.html for students, and
                              handout-solved.html for instructors
  rlhf-lab build --overwrite  replace generated files even if they were edited
"""

VERIFY_HELP = """Check whether the release is ready for students; exit code 1 if it is not.

First each slot must be complete: registry entry, task, solution, checks, and what the grader needs for it.
Then the release is built in memory and checked: a second build gives the same bytes; student_template/ is
up to date; every slot occurs once and raises its own error; no line of a solution is left; the zip holds
allowed files only; every public check passes on the solution and fails on the blank slot. Last, the solved
notebook runs in a fresh kernel from the unpacked zip, which takes minutes. If all of this passes, the
executed notebook becomes tests/submissions/reference.ipynb.

\b
Examples:
  rlhf-lab verify --static    before a commit: everything but the execution
  rlhf-lab verify             before a release
"""


def register(app: typer.Typer, slot_checks: Sequence[SlotCheck] = ()) -> None:
    """Add the commands to an app. slot_checks: look for the places of a slot on the grader's side (see verify.gate)."""
    app.command("build", help=BUILD_HELP, short_help="Build the students' release from solutions/.")(build_command)
    short = "Check that the release may go out to students."
    app.command("verify", help=VERIFY_HELP, short_help=short)(verify_with(slot_checks))
    app.command("new-slot", help=NEW_SLOT_HELP, short_help="Write the skeletons of a new slot.")(new_slot_command)


def create_app() -> typer.Typer:
    """Make an app with these commands alone."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Build and verify a release."
    )
    register(app)
    return app


def build_command(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if student_template/ is out of date.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write the notebook, blank and solved, as web pages.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace generated files even if they were edited.")
    ] = False,
) -> None:
    """Build the release. If a source is wrong or a file cannot be written, print one sentence and exit with 1."""
    from assignment.files import ForeignFileError
    from assignment.registry import SpecError
    from assignment.release.markers import SourceError
    from assignment.release.release import Layout, build

    if check and html:
        raise typer.BadParameter("--check writes nothing, so it does not go with --html")
    console, layout = make_console(soft_wrap=True), Layout()
    try:
        release = build(layout)
        if check:
            _check(console, release, layout)
        else:
            _write(console, release, layout, html=html, overwrite=overwrite)
    except (SourceError, SpecError, ForeignFileError) as error:
        raise _failure(console, "cannot build", str(error)) from error
    except OSError as error:
        where = f"{error.filename or layout.template}"
        raise _failure(console, "cannot build", f"{where} cannot be read or written ({error.strerror})") from error


def _check(console: Console, release: Release, layout: Layout) -> None:
    """Print which generated files are out of date. typer.Exit(1) if any is."""
    from assignment.release.release import stale

    problems = stale(release, layout)
    for problem in problems:
        console.print(labelled("stale  ", "red", problem))
    if problems:
        console.print("run `rlhf-lab build` and commit the result")
        raise typer.Exit(1)
    console.print(f"{layout.template.name}/ is current")


def _write(console: Console, release: Release, layout: Layout, *, html: bool, overwrite: bool) -> None:
    """Write the release, and the pages if `html` is set, and print a line for each."""
    from assignment.release.release import write

    start, pages = time.monotonic(), []
    if html:
        from assignment.release.html import build_pages  # importing nbconvert takes half a second

        pages = build_pages(release, layout, overwrite)  # before anything is written, because it may raise an error
    target = write(release, layout, overwrite=overwrite)
    size, seconds = target.stat().st_size / 2**20, time.monotonic() - start
    console.print(f"wrote {len(release.generated)} generated files into {layout.template.name}/")
    console.print(f"wrote {target} ({len(release.shipped)} files, {size:.1f} MB) in {seconds:.1f} s")
    for page in pages:
        path = page.write(layout)
        console.print(f"wrote {path} ({path.stat().st_size / 2**10:.0f} kB): {page.about}")


def verify_with(slot_checks: Sequence[SlotCheck]) -> Callable[..., None]:
    """Make the command `verify`, whose gate also runs these checks for each slot."""

    def verify_command(
        static: Annotated[bool, typer.Option("--static", help="Do not execute the solved notebook.")] = False,
    ) -> None:
        """Run the gate, print a line for each check, and exit with 1 if one failed."""
        from assignment.slots.places import problems
        from assignment.verify.gate import run_gate

        console, start = make_console(soft_wrap=True), time.monotonic()
        with spinner(console, "building") as progress:
            results = run_gate(
                static_only=static,
                slot_checks=(problems, *slot_checks),
                on_result=lambda result: print_result(console, result),
                progress=progress,
            )
        failed = [result.name for result in results if not result.ok]
        seconds = time.monotonic() - start
        if failed:
            raise _failure(console, "not ready", f"{', '.join(failed)} failed ({seconds:.0f} s)")
        scope = "static checks passed" if static else "ready for students"
        console.print(labelled(scope, "green", f": {len(results)} checks, {seconds:.0f} s"))

    return verify_command


def print_result(console: Console, result: GateResult) -> None:
    """Print the result of one check of the gate, and a line for each problem."""
    label, style = ("ok  ", "green") if result.ok else ("FAIL", "red")
    console.print(labelled(label, style, f" {result.name:<14} {result.seconds:6.1f} s  {result.summary}"))
    for problem in result.problems:
        console.print(f"       - {problem}")


def _failure(console: Console, label: str, message: str) -> typer.Exit:
    """Print why a command stops, and return the exception that ends it with exit code 1."""
    console.print(labelled(label, "red", f": {message}"))
    return typer.Exit(1)
