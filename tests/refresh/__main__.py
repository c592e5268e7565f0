"""Run `make refresh`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from assignment.console import labelled, make_console, spinner
from assignment.registry import SpecError
from assignment.release.markers import SourceError
from assignment.release.release import Layout, Release, build
from tests.refresh.rows import Row, table, verdict

HELP = """Renew what a change of a slot makes stale, and name what a person has to do.

It renews student_template/ and the students' zip, the blank and the typical sample, the tables of docs/world.md, and
the reference sample, which is executed again (about four minutes) only if its code or the kit changed. It checks the
places of each slot, the release gate, the hidden tests on all solutions, both lists of known mistakes, the study of the
training tests, the claims of the notebook about a run, and the pages of docs/ with measurements.
"""
EPILOG = "exit code: 0 if nothing is left to do, 1 if something is, 130 after Ctrl-C. You can run it at any time."


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew and check everything, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.refresh", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--static", action="store_true", help="do not execute the solved notebook")
    options = parser.parse_args(arguments)
    console, start, layout = make_console(soft_wrap=True), time.monotonic(), Layout()
    try:
        release = build(layout)
        with spinner(make_console(stderr=True), "renewing") as say:
            found = refreshed(release, layout, say, static=options.static)
    except (SourceError, SpecError) as error:
        console.print(labelled("cannot build", "red", f": {error}"))
        return 1
    except OSError as error:
        console.print(labelled("stopped", "red", f": {error.filename} cannot be read or written ({error.strerror})"))
        return 1
    except KeyboardInterrupt:
        console.print("stopped; everything renewed so far is complete, and the next run goes on from there")
        return 130
    make_console().print(table(found))
    console.print(verdict(found, time.monotonic() - start))
    return int(any(row.state == "by hand" for row in found))


def refreshed(release: Release, layout: Layout, say: Callable[[str], None], *, static: bool) -> list[Row]:
    """Renew and check everything. say: called with each step. static: do not execute the notebook."""
    from tests.refresh import renew

    spec = release.spec
    found = [*renew.template(release, layout), *renew.samples(release, layout), *renew.places(spec)]
    found += renew.reference(release, layout, say, static=static)
    found += [*renew.pages(release, layout), *renew.world()]  # after the sample, whose outputs the pages show
    try:
        from tests.refresh import recheck
    except Exception as error:  # noqa: BLE001 (a module of the grader is unfinished; the row of the slots names it)
        return [*found, _failed("hidden tests and known mistakes", error)]
    steps: dict[str, Callable[[], list[Row]]] = {
        "solutions": lambda: recheck.solutions(spec),
        "known mistakes": recheck.library,
        "the typical sample": lambda: recheck.typical(spec, release),
        "mistakes that public checks catch": recheck.mistakes,
        "the study": lambda: recheck.calibration(spec),
        "pages": recheck.pages,
    }
    for name, step in steps.items():
        say(f"checking {name}")
        try:
            found += step()
        except Exception as error:  # noqa: BLE001 (after a failed check the others still run)
            found.append(_failed(name, error))
    return found


def _failed(name: str, error: Exception) -> Row:
    return Row(name, "by hand", f"could not be checked ({type(error).__name__}: {error})")


if __name__ == "__main__":
    sys.exit(main())
