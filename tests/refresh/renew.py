"""What follows from the solutions by itself: the release, the three sample submissions, and the handout's pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assignment.files import ForeignFileError, write_atomically
from assignment.registry import Spec
from assignment.release import reference_sample
from assignment.release.html import FOLDER, build_pages
from assignment.release.notebook import to_bytes
from assignment.release.release import ZIP_NAME, Layout, Release, stale, write
from assignment.slots import places as own_places
from assignment.verify.gate import GateResult, run_gate
from assignment.verify.static import digests
from autograder.slots import completeness
from tests.matrix.store import digest, hashes_of
from tests.refresh.rows import Row, checked, name_of, rows
from tests.submissions import make

GATE, PASSED = "release gate", "passed without the execution"
_WHY = {"old code": "it ran with other code or another kit", "missing": "it is not there"}


def template(release: Release, layout: Layout) -> list[Row]:
    """student_template/ and the students' zip, as `rlhf-lab build` writes them."""
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
    """The samples that are written without running anything: the blank and the typical one."""
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
    """Each slot has all that belongs to it, the known mistakes among it, as `rlhf-lab verify` asks first."""
    return rows("slots", [*own_places.problems(spec), *completeness.problems(spec)], "each has what belongs to it")


def reference(
    release: Release, layout: Layout, say: Callable[[str], None], *, static: bool, gate: Callable = run_gate
) -> list[Row]:
    """The release gate, and the executed sample: run again only where other code or another kit runs in it.

    static: never run it, but say that it has to be. gate: `run_gate`, or what a test puts in its place.
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
        return [*checks, Row(name_of(path), "renewed", "prose and comments; its outputs stay, since the same code ran")]
    return [*checks, Row(name_of(path), "by hand", f"{_WHY[found]}: run `rlhf-lab verify`, which takes minutes")]


def problems_of(results: Sequence[GateResult]) -> list[str]:
    """The problems of all checks of the gate, each with the check's name."""
    return [f"{result.name}: {problem}" for result in results for problem in result.problems]


def _executed(name: str, results: Sequence[GateResult]) -> Row:
    if problems_of(results):
        return Row(name, "by hand", "not written, since the gate refuses this release: put that right first")
    seconds = next(result.seconds for result in results if result.name == "execution")
    return Row(name, "renewed", f"the solved notebook was executed again, in {seconds:.0f} s")


def pages(release: Release, layout: Layout) -> list[Row]:
    """The handout's pages of `rlhf-lab build --html`, where somebody has asked for them before."""
    folder = layout.dist / FOLDER
    if not folder.is_dir():
        return []
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    try:
        after = {path.name: path.read_bytes() for path in (page.write(layout) for page in build_pages(release, layout))}
    except ForeignFileError as error:
        return [Row(name_of(folder), "by hand", str(error))]
    return [Row(name_of(folder), "current" if {**before, **after} == before else "renewed")]
