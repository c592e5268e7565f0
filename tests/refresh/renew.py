"""Renew what can be made quickly: the release, the sample submissions, the pages of the handout and of the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from assignment.files import ForeignFileError, write_atomically
from assignment.lab import world_page
from assignment.lab.__main__ import RESULTS, WORLD_SEED
from assignment.lab.report import report
from assignment.registry import Spec, SpecError
from assignment.registry.claims import CLAIMS
from assignment.release import reference_sample
from assignment.release.html import FOLDER, build_pages
from assignment.release.notebook import to_bytes
from assignment.release.release import ZIP_NAME, Layout, Release, stale, write
from assignment.slots import places as slot_places
from assignment.verify.gate import GateResult, run_gate
from assignment.verify.static import digests
from autograder.slots import completeness
from tests.matrix.store import digest, hashes_of
from tests.refresh.rows import Row, State, checked, name_of, rows
from tests.submissions import make

GATE, PASSED = "release gate", "passed without the execution"
_WHY = {"old code": "it ran with other code or another kit", "missing": "it does not exist"}


def template(release: Release, layout: Layout) -> list[Row]:
    """Renew student_template/ and the students' zip, as `rlhf-lab build` does."""
    archive, problems = layout.dist / ZIP_NAME, stale(release, layout)
    zipped = archive.is_file() and archive.read_bytes() == release.archive
    if problems or not zipped:
        try:
            write(release, layout)
        except ForeignFileError as error:
            return [Row(name_of(layout.template), "by hand", str(error))]
    return [
        Row(name_of(layout.template), "renewed" if problems else "current", "; ".join(problems)),
        Row(name_of(archive), "current" if zipped else "renewed"),
    ]


def samples(release: Release, layout: Layout) -> list[Row]:
    """Renew the blank and the typical sample, for which nothing has to be executed."""
    found = []
    for name, sample_of in make.SAMPLES.items():
        path = layout.samples / f"{name}.ipynb"
        try:
            data = sample_of(release)
        except make.SampleError as error:
            found.append(Row(name_of(path), "by hand", f"tests/submissions/make.py: {error}"))
            continue
        current = path.is_file() and path.read_bytes() == data
        if not current:
            write_atomically(path, data)
        found.append(Row(name_of(path), "current" if current else "renewed"))
    return found


def places(spec: Spec) -> list[Row]:
    """Check that every place of each slot is filled, as `rlhf-lab verify` does first."""
    return rows("slots", [*slot_places.problems(spec), *completeness.problems(spec)], "each is complete")


def reference(
    release: Release, layout: Layout, say: Callable[[str], None], *, static: bool, gate: Callable = run_gate
) -> list[Row]:
    """Run the release gate, and execute the reference sample again if its code or the kit changed.

    static: do not execute it, but report that it has to be. gate: `run_gate`, or another one in tests.
    """
    path, found = layout.samples / reference_sample.SAMPLE, reference_sample.state(release, layout)
    if found in ("old code", "missing") and not static:
        results = gate(layout, progress=say)
        return [*rows(GATE, problems_of(results), "passed"), _executed(name_of(path), results)]
    key = digest("gate", digests(release), hashes_of("assignment"))
    checks = checked(GATE, key, lambda: problems_of(gate(layout, static_only=True, progress=say)), PASSED)
    if found == "current":
        return [*checks, Row(name_of(path), "current")]
    if found == "old text":
        write_atomically(path, to_bytes(reference_sample.with_outputs(release, layout)))
        return [*checks, Row(name_of(path), "renewed", "prose and comments; its outputs still apply")]
    return [*checks, Row(name_of(path), "by hand", f"{_WHY[found]}: run `rlhf-lab verify`, which takes minutes")]


def problems_of(results: Sequence[GateResult]) -> list[str]:
    """Return the problems of all checks of the gate, each with the name of the check."""
    return [f"{result.name}: {problem}" for result in results for problem in result.problems]


def _executed(name: str, results: Sequence[GateResult]) -> Row:
    if problems_of(results):
        return Row(name, "by hand", "not written, because the gate refuses this release: correct that first")
    seconds = next(result.seconds for result in results if result.name == "execution")
    return Row(name, "renewed", f"the solved notebook was executed again, in {seconds:.0f} s")


def pages(release: Release, layout: Layout) -> list[Row]:
    """Renew the pages of `rlhf-lab build --html`, if they were made before."""
    folder = layout.dist / FOLDER
    if not folder.is_dir():
        return []
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    try:
        after = {path.name: path.read_bytes() for path in (page.write(layout) for page in build_pages(release, layout))}
    except ForeignFileError as error:
        return [Row(name_of(folder), "by hand", str(error))]
    return [Row(name_of(folder), "current" if {**before, **after} == before else "renewed")]


def world(page: Path = world_page.PAGE, results: Path = RESULTS) -> list[Row]:
    """Renew the tables of docs/world.md from the outcomes that are there, and name each claim that fails on them.

    Seeds without outcomes are no work that is left to do, and without any the page is left as it is.
    """
    try:
        found = report(WORLD_SEED, results)
        if not found.seen:
            return [Row(name_of(page), "current", found.to_run)]
        renewed = world_page.write_page(found.tables, page)
    except (ForeignFileError, SpecError, world_page.PageError) as error:
        return [Row(name_of(page), "by hand", str(error))]
    failed = [f"{line}: correct the sentence in solutions/ and its bounds" for line in found.failures]
    state: State = "renewed" if renewed else "current"
    return [Row(name_of(page), state, found.to_run), *(Row(name_of(CLAIMS), "by hand", line) for line in failed)]
