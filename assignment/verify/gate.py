"""The release gate: CHECKS, an ordered tuple of questions about a release, one line of output each.

A check returns what it found in a few words, or raises Refused with one sentence per problem. A
release that did not pass every check must not go out.
"""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assignment.files import write_whole
from assignment.registry import Spec, SpecError, load_spec
from assignment.release.markers import SourceError
from assignment.release.release import Layout, Release, build
from assignment.release.sample import SAMPLE, executed
from assignment.verify import static
from assignment.verify.probe_run import probe_checks
from assignment.verify.run import Executed, ExecutionFailed, execute, text_of
from assignment.verify.static import Refused

CELL_TIMEOUT = 600.0  # seconds; the whole solved notebook is meant to take six minutes at most


@dataclass(frozen=True)
class Outcome:
    """The result of one check: a detail if it passed, else its problems; and seconds taken."""

    name: str
    detail: str
    problems: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the check passed."""
        return not self.problems


SlotCheck = Callable[[Spec], Iterable[str]]  # the registry -> a line for each place of a slot that is missing


@dataclass
class Gate:
    """What the checks share: the registry, the release, a folder with the unpacked zip, a place for what they make.
    slot_checks: what looks for the places of each slot; the grader's own look for the grader's."""

    layout: Layout
    folder: Path
    progress: Callable[[str], None]
    slot_checks: tuple[SlotCheck, ...] = ()
    spec: Spec | None = None
    release: Release | None = None
    executed: Executed | None = None

    @property
    def built(self) -> Release:
        """The release; the first check makes it."""
        assert self.release is not None, "the check called build comes first"
        return self.release


def check_registry(gate: Gate) -> str:
    """The registry loads."""
    try:
        gate.spec = load_spec(gate.layout.registry)
    except SpecError as error:
        raise Refused(list(error.problems)) from error
    return f"{len(gate.spec.slots)} slots, {len(gate.spec.items)} rubric items"


def check_places(gate: Gate) -> str:
    """Each slot has its task, its checks, and what the grader needs for it; nothing is left of others."""
    assert gate.spec is not None, "the check called registry comes first"
    problems = [line for check in gate.slot_checks for line in check(gate.spec)]
    if problems:
        raise Refused(problems)
    return "each slot is whole"


def check_build(gate: Gate) -> str:
    """The sources build, and the zip unpacks."""
    try:
        gate.release = build(gate.layout, gate.spec)
    except SourceError as error:
        raise Refused([str(error)]) from error
    with zipfile.ZipFile(io.BytesIO(gate.release.archive)) as archive:
        archive.extractall(gate.folder)
    return f"{len(gate.release.shipped)} files, {len(gate.release.archive) / 2**20:.1f} MB"


def check_public_checks(gate: Gate) -> str:
    """Every public check passes on the solution, and fails on the blank with the slot's own error."""
    return probe_checks(gate.built, gate.folder, gate.progress)


def check_execution(gate: Gate) -> str:
    """The solved notebook runs top to bottom from the unpacked zip, and its own checks pass there."""

    def on_cell(number: int, total: int, cell_id: str) -> None:
        gate.progress(f"cell {number} of {total}: {cell_id}")

    try:
        gate.executed = execute(gate.folder, gate.built.solved, CELL_TIMEOUT, on_cell)
    except ExecutionFailed as error:
        raise Refused([str(error)]) from error
    problems = [
        f"imports {path}, which is not in the release" for path in gate.executed.files
        if _is_ours(Path(path), gate.layout)
    ]  # fmt: skip
    for cell in gate.executed.notebook.cells:
        if cell.id.startswith("check-"):
            text = text_of(cell)
            if "passed" not in text or "✗" in text or "failed" in text:
                problems.append(f"cell {cell.id} does not say that its check passed: {text.strip()[:300]!r}")
    if problems:
        raise Refused(problems)
    return f"{gate.executed.seconds:.0f} s, {gate.executed.peak_bytes / 2**30:.2f} GB"


def _is_ours(path: Path, layout: Layout) -> bool:
    """Whether an imported file comes from the working copy that was built from."""
    roots = (layout.solutions, layout.template)
    return any(path.resolve().is_relative_to(root.resolve()) for root in roots)


def refresh_sample(gate: Gate) -> str:
    """The executed solved notebook becomes the reference sample submission."""
    assert gate.executed is not None, "the check called execution comes first"
    target = gate.layout.samples / SAMPLE
    data = executed(gate.built, gate.executed.notebook)
    write_whole(target, data)
    return f"{target.name}, {len(data) / 2**10:.0f} kB"


Check = Callable[[Gate], str]

STATIC: tuple[tuple[str, Check], ...] = (
    ("registry", check_registry),  # first: all others go by it
    ("places", check_places),  # before the build, which a slot that is not whole would fail with less to say
    ("build", check_build),  # before those that look at what it made
    ("rebuild", lambda gate: static.check_rebuild(gate.built, gate.layout)),
    ("golden copy", lambda gate: static.check_golden(gate.built, gate.layout)),
    ("slots", lambda gate: static.check_slots(gate.built)),
    ("notebook", lambda gate: static.check_notebook(gate.built)),
    ("names", lambda gate: static.check_names(gate.built, gate.folder)),
    ("leaks", lambda gate: static.check_leaks(gate.built)),
    ("zip", lambda gate: static.check_zip(gate.built)),
    ("public checks", check_public_checks),
)
CHECKS: tuple[tuple[str, Check], ...] = (
    *STATIC,
    ("execution", check_execution),  # after everything cheap
    ("sample", refresh_sample),  # only what passed all of the above becomes the sample
)

_DECISIVE = (check_registry, check_places, check_build)  # nothing is checked after one of these failed
_LATE = (check_execution, refresh_sample)  # skipped once anything failed


def run_gate(
    layout: Layout | None = None,
    *,
    static_only: bool = False,
    slot_checks: Sequence[SlotCheck] = (),
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Run the checks in order; a failed one does not stop the cheap ones, but nothing is executed after it.

    slot_checks: look for the places of each slot. on_outcome: called after each check. progress: called with a
    short text while a check works.
    """
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="rlhf-release-") as folder:
        gate = Gate(layout or Layout(), Path(folder).resolve(), progress, tuple(slot_checks))
        for name, check in STATIC if static_only else CHECKS:
            if check in _LATE and not all(outcome.ok for outcome in outcomes):
                break
            start, detail, problems = time.monotonic(), "", list[str]()
            try:
                detail = check(gate)
            except Refused as error:
                problems = error.problems
            except OSError as error:
                problems = [f"{error.filename} cannot be read or written ({error.strerror})"]
            outcomes.append(Outcome(name, detail, tuple(problems), time.monotonic() - start))
            on_outcome(outcomes[-1])
            if problems and check in _DECISIVE:
                break
    return outcomes
