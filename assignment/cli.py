"""The instructor's commands, `build`, `verify` and `new-slot`; autograder/cli.py adds them to the console script,
whose other commands do not wait for what these import."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from assignment.console import labelled, make_console, waiting
from assignment.slots.command import NEW_SLOT_HELP, new_slot_command

if TYPE_CHECKING:
    from rich.console import Console

    from assignment.release.release import Layout, Release
    from assignment.verify.gate import Outcome, SlotCheck

BUILD_HELP = """Regenerate student_template/ from solutions/ and write dist/rlhf-student.zip.

The parts solutions/p1_*.py … p9_*.py are joined into one notebook. Each slot keeps its signature,
docstring and scaffolding; what stands between # BEGIN SOLUTION T07 and # END SOLUTION becomes
raise NotImplementedError("T07: …"). Points, titles and thresholds come from assignment/registry/assignment.toml.
The result is the same byte for byte on every build: commit it. A generated file that was edited, such as
a notebook solved in student_template/, is not replaced: the command names it and ends.

--html also writes the handout as pages that need no network: dist/html/handout.html, and
handout-solved.html for instructors, with outputs where the executed sample still belongs to the solutions.

After a change of a slot, make refresh builds too, and renews all that follows from it.
"""

VERIFY_HELP = """Check that the release may go out to students; exit code 1 if it may not.

Asks first whether each slot is whole: registry, task, checks, and what the grader needs for it. Then
builds in memory: the same bytes on a rebuild? student_template/ current? each slot once, with its own
error? any line of a solution left? only allowed files in the zip? does every
public check pass on the solution and fail on the blank? Then the solved notebook runs top to bottom
in a fresh kernel from the unpacked zip (minutes), and becomes tests/submissions/reference.ipynb.

Before a commit: rlhf-lab verify --static. Before a release: rlhf-lab verify.
"""


def register(app: typer.Typer, slot_checks: Sequence[SlotCheck] = ()) -> None:
    """Add these commands to an app. slot_checks: what the grader's side looks for of each slot (see verify.gate)."""
    app.command("build", help=BUILD_HELP, short_help="Build the students' release from solutions/.")(build_command)
    short = "Check that the release may go out to students."
    app.command("verify", help=VERIFY_HELP, short_help=short)(verify_with(slot_checks))
    app.command("new-slot", help=NEW_SLOT_HELP, short_help="Write the skeletons of a new slot.")(new_slot_command)


def create_app() -> typer.Typer:
    """An app with these commands alone."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Build and verify a release."
    )
    register(app)
    return app


def build_command(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if student_template/ is not current.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write the handout, blank and solved, as pages into dist/html/.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace generated files also where they were edited.")
    ] = False,
) -> None:
    """Build the release; exit 1 with one sentence if a source is wrong or a file cannot be written."""
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
        raise _stop(console, "cannot build", str(error)) from error
    except OSError as error:
        where = f"{error.filename or layout.template}"
        raise _stop(console, "cannot build", f"{where} cannot be read or written ({error.strerror})") from error


def _check(console: Console, release: Release, layout: Layout) -> None:
    """Say what of the template is stale; typer.Exit(1) if anything is."""
    from assignment.release.release import stale

    problems = stale(release, layout)
    for problem in problems:
        console.print(labelled("stale  ", "red", problem))
    if problems:
        console.print("run `rlhf-lab build` and commit the result")
        raise typer.Exit(1)
    console.print(f"{layout.template.name}/ is current")


def _write(console: Console, release: Release, layout: Layout, *, html: bool, overwrite: bool) -> None:
    """Write the release, and the pages if they are wanted; a line for each."""
    from assignment.release.release import write

    start, pages = time.monotonic(), []
    if html:
        from assignment.release.html import both_pages  # here: nbconvert takes half a second

        pages = both_pages(release, layout, overwrite)  # first: what refuses them leaves nothing half done
    target = write(release, layout, overwrite=overwrite)
    size, seconds = target.stat().st_size / 2**20, time.monotonic() - start
    console.print(f"wrote {len(release.generated)} generated files into {layout.template.name}/")
    console.print(f"wrote {target} ({len(release.shipped)} files, {size:.1f} MB) in {seconds:.1f} s")
    for page in pages:
        path = page.write(layout)
        console.print(f"wrote {path} ({path.stat().st_size / 2**10:.0f} kB): {page.about}")


def verify_with(slot_checks: Sequence[SlotCheck]) -> Callable[..., None]:
    """The command `verify`, whose gate looks for the places of each slot with these checks too."""

    def verify_command(
        static: Annotated[
            bool, typer.Option("--static", help="All checks but the execution of the solved notebook.")
        ] = False,
    ) -> None:
        """Run the gate; a line per check, exit 1 if one failed."""
        from assignment.slots.places import problems
        from assignment.verify.gate import run_gate

        console, start = make_console(soft_wrap=True), time.monotonic()
        with waiting(console, "building") as progress:
            outcomes = run_gate(
                static_only=static,
                slot_checks=(problems, *slot_checks),
                on_outcome=lambda outcome: print_outcome(console, outcome),
                progress=progress,
            )
        failed = [outcome.name for outcome in outcomes if not outcome.ok]
        seconds = time.monotonic() - start
        if failed:
            raise _stop(console, "not ready", f"{', '.join(failed)} failed ({seconds:.0f} s)")
        scope = "static checks passed" if static else "ready for students"
        console.print(labelled(scope, "green", f": {len(outcomes)} checks, {seconds:.0f} s"))

    return verify_command


def print_outcome(console: Console, outcome: Outcome) -> None:
    """One check of the gate: a line, and one more for each problem."""
    mark, style = ("ok  ", "green") if outcome.ok else ("FAIL", "red")
    console.print(labelled(mark, style, f" {outcome.name:<14} {outcome.seconds:6.1f} s  {outcome.detail}"))
    for problem in outcome.problems:
        console.print(f"       - {problem}")


def _stop(console: Console, label: str, message: str) -> typer.Exit:
    console.print(labelled(label, "red", f": {message}"))
    return typer.Exit(1)
