"""The command of `make refresh`."""

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

Renewed: student_template/ and the students' zip; the blank and the typical sample; the reference sample, which is
executed again (about four minutes) only if other code or another kit runs in it. Looked at: what belongs to each slot,
the release gate, the hidden tests of all solutions, both lists of known mistakes, the study of the training tests, and
the pages of docs/ that tell what was measured.
"""
EPILOG = "exit code: 0 if nothing is left to do, 1 if something is, 130 after Ctrl-C. It may be run at any time."


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew, look, print a table; the exit code."""
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
        console.print("stopped; what was renewed is whole, and the next run goes on from there")
        return 130
    make_console().print(table(found))
    console.print(verdict(found, time.monotonic() - start))
    return int(any(row.state == "by hand" for row in found))


def refreshed(release: Release, layout: Layout, say: Callable[[str], None], *, static: bool) -> list[Row]:
    """All rows. say: called with what is being done. static: nothing is executed."""
    from tests.refresh import renew

    spec = release.spec
    found = [*renew.template(release, layout), *renew.samples(release, layout), *renew.places(spec)]
    found += renew.reference(release, layout, say, static=static)
    found += renew.pages(release, layout)  # after the sample, whose outputs they show
    try:
        from tests.refresh import recheck
    except Exception as error:  # noqa: BLE001  # a module of the grader that is being written; the row of the slots names its line
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
        say(f"looking at {name}")
        try:
            found += step()
        except Exception as error:  # noqa: BLE001  # one look that fails leaves the others their word
            found.append(_failed(name, error))
    return found


def _failed(name: str, error: Exception) -> Row:
    return Row(name, "by hand", f"could not be looked at ({type(error).__name__}: {error})")


if __name__ == "__main__":
    sys.exit(main())
