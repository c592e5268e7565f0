"""The instructor's commands, `build` and `verify`; autograder/cli.py adds them to the console script, whose other
commands do not wait for what these import."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from assignment.verify.gate import Outcome

BUILD_HELP = """Regenerate student_template/ from solutions/ and write dist/rlhf-student.zip.

The parts solutions/p1_*.py … p9_*.py are joined into one notebook. Each slot keeps its signature,
docstring and scaffolding; what stands between # BEGIN SOLUTION T07 and # END SOLUTION becomes
raise NotImplementedError("T07: …"). Points, titles and thresholds come from assignment/registry/assignment.toml.
The result is the same byte for byte on every build: commit it. A generated file that was edited, such as
a notebook solved in student_template/, is not replaced: the command names it and ends.

Change a slot: edit its part, then rlhf-lab build, then rlhf-lab verify.
"""

VERIFY_HELP = """Check that the release may go out to students; exit code 1 if it may not.

Builds in memory, and asks: the same bytes on a rebuild? student_template/ current? 15 slots, each
once, each with its own error? any line of a solution left? only allowed files in the zip? does every
public check pass on the solution and fail on the blank? Then the solved notebook runs top to bottom
in a fresh kernel from the unpacked zip (minutes), and becomes tests/submissions/reference.ipynb.

Before a commit: rlhf-lab verify --static. Before a release: rlhf-lab verify.
"""


def register(app: typer.Typer) -> None:
    """Add the commands `build` and `verify` to an app."""
    app.command("build", help=BUILD_HELP)(build_command)
    app.command("verify", help=VERIFY_HELP)(verify_command)


def create_app() -> typer.Typer:
    """An app with these two commands alone."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, help="Build and verify a release.")
    register(app)
    return app


def build_command(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if student_template/ is not current.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace generated files also where they were edited.")
    ] = False,
) -> None:
    """Build the release; exit 1 with file and line if a source is wrong."""
    from assignment.files import ForeignFileError
    from assignment.registry import SpecError
    from assignment.release.markers import SourceError
    from assignment.release.release import Layout, build, stale, write

    console, layout, start = Console(highlight=False, soft_wrap=True), Layout(), time.monotonic()
    try:
        release = build(layout)
    except (SourceError, SpecError) as error:
        console.print(f"[red]cannot build[/red]  {error}", markup=True)
        raise typer.Exit(1) from error
    if check:
        problems = stale(release, layout)
        for problem in problems:
            console.print(f"[red]stale[/red]  {problem}")
        if problems:
            console.print("run `rlhf-lab build` and commit the result")
            raise typer.Exit(1)
        console.print(f"{layout.template.name}/ is current")
        return
    try:
        target = write(release, layout, overwrite=overwrite)
    except (ForeignFileError, OSError) as error:
        console.print("[red]cannot write[/red]  ", end="")
        console.print(str(error), markup=False)
        raise typer.Exit(1) from error
    size, seconds = target.stat().st_size / 2**20, time.monotonic() - start
    console.print(f"wrote {len(release.generated)} generated files into {layout.template.name}/")
    console.print(f"wrote {target} ({len(release.shipped)} files, {size:.1f} MB) in {seconds:.1f} s")


def verify_command(
    static: Annotated[
        bool, typer.Option("--static", help="All checks but the execution of the solved notebook.")
    ] = False,
) -> None:
    """Run the gate; a line per check, exit 1 if one failed."""
    from assignment.verify.gate import run_gate

    console, start = Console(highlight=False, soft_wrap=True), time.monotonic()
    with console.status("building") as status:
        outcomes = run_gate(
            static_only=static,
            on_outcome=lambda outcome: _print(console, outcome),
            progress=status.update,
        )
    failed = [outcome.name for outcome in outcomes if not outcome.ok]
    seconds = time.monotonic() - start
    if failed:
        console.print(f"[red]not ready[/red]: {', '.join(failed)} failed ({seconds:.0f} s)")
        raise typer.Exit(1)
    scope = "static checks passed" if static else "ready for students"
    console.print(f"[green]{scope}[/green]: {len(outcomes)} checks, {seconds:.0f} s")


def _print(console: Console, outcome: Outcome) -> None:
    mark = "[green]ok  [/green]" if outcome.ok else "[red]FAIL[/red]"
    console.print(f"{mark} {outcome.name:<14} {outcome.seconds:6.1f} s  ", end="")
    console.print(outcome.detail, markup=False)
    for problem in outcome.problems:
        console.print(f"       - {problem}", markup=False)
