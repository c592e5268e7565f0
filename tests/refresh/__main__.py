"""The command of `make refresh`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from assignment.console import labelled, make_console, waiting
from assignment.registry import SpecError
from assignment.release.markers import SourceError
from assignment.release.release import Layout, Release, build
from tests.refresh.rows import Row, table, verdict

HELP = """Renew what a change of a slot makes stale, and name what a person has to do.

Renewed: student_template/ and the students' zip; the blank and the typical sample; the reference sample, which is
executed again (about four minutes) only if other code or another kit runs in it. Looked at: the release gate, the
hidden tests of all solutions, both lists of known mistakes, the study of the training tests, and the pages of docs/
that tell what was measured.
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
        with waiting(make_console(stderr=True), "renewing") as say:
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
    from tests.refresh import recheck, renew  # here: PyTorch and the grader take seconds, and a part may be broken

    spec = release.spec
    found = [*renew.template(release, layout), *renew.samples(release, layout)]
    found += renew.reference(release, layout, say, static=static)
    found += renew.pages(release, layout)  # after the sample, whose outputs they show
    steps: dict[str, Callable[[], list[Row]]] = {
        "solutions": lambda: recheck.solutions(spec),
        "known mistakes": lambda: recheck.library(spec),
        "the typical sample": lambda: recheck.typical(spec, release),
        "mistakes that public checks catch": recheck.mistakes,
        "the study": lambda: recheck.calibration(spec),
        "pages": recheck.pages,
    }
    for name, step in steps.items():
        say(f"looking at {name}")
        try:
            found += step()
        except Exception as error:  # one look that fails leaves the others their word
            found.append(Row(name, "by hand", f"could not be looked at ({type(error).__name__}: {error})"))
    return found


if __name__ == "__main__":
    sys.exit(main())
