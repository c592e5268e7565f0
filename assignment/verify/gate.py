"""Run the release gate: CHECKS, an ordered tuple of checks of a release.

A check returns a summary of a few words, or raises FailedCheckError with one sentence per problem. A release may be
given to students only if every check passed.
"""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assignment.files import write_atomically
from assignment.registry import Spec, SpecError, load_spec
from assignment.release.markers import SourceError
from assignment.release.reference_sample import SAMPLE, sample_file
from assignment.release.release import Layout, Release, build
from assignment.verify import static
from assignment.verify.claims import check_claims
from assignment.verify.execution import Executed, ExecutionError, execute, text_of
from assignment.verify.public_checks import run_public_checks
from assignment.verify.static import FailedCheckError

CELL_TIMEOUT = 600.0  # seconds; the whole solved notebook takes less than six minutes


@dataclass(frozen=True)
class GateResult:
    """The result of one check: its summary if it passed, else its problems, and the seconds it took."""

    name: str
    summary: str
    problems: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Return whether the check passed."""
        return not self.problems


SlotCheck = Callable[[Spec], Iterable[str]]  # yields a line for each missing place of a slot


@dataclass
class Gate:
    """What the checks share. folder: where the zip is unpacked. slot_checks: look for the places of each slot; the
    grader's command adds one for the places on the grader's side. spec, release, executed: set by the first checks."""

    layout: Layout
    folder: Path
    progress: Callable[[str], None]
    slot_checks: tuple[SlotCheck, ...] = ()
    spec: Spec | None = None
    release: Release | None = None
    executed: Executed | None = None

    @property
    def built(self) -> Release:
        """Return the release, which the check `build` makes."""
        assert self.release is not None, "the check `build` comes first"
        return self.release


def check_registry(gate: Gate) -> str:
    """Load the registry."""
    try:
        gate.spec = load_spec(gate.layout.registry)
    except SpecError as error:
        raise FailedCheckError(list(error.problems)) from error
    return f"{len(gate.spec.slots)} slots, {len(gate.spec.items)} rubric items"


def check_places(gate: Gate) -> str:
    """Check that every place of each slot is filled, and that nothing is left of removed slots."""
    assert gate.spec is not None, "the check `registry` comes first"
    problems = [line for check in gate.slot_checks for line in check(gate.spec)]
    if problems:
        raise FailedCheckError(problems)
    return "each slot is complete"


def check_build(gate: Gate) -> str:
    """Build the release, and unpack its zip."""
    try:
        gate.release = build(gate.layout, gate.spec)
    except SourceError as error:
        raise FailedCheckError([str(error)]) from error
    with zipfile.ZipFile(io.BytesIO(gate.release.archive)) as archive:
        archive.extractall(gate.folder)
    return f"{len(gate.release.shipped)} files, {len(gate.release.archive) / 2**20:.1f} MB"


def check_public_checks(gate: Gate) -> str:
    """Check that every public check passes on the solution, and fails on the blank slot with the slot's own error."""
    return run_public_checks(gate.built, gate.folder, gate.progress)


def check_execution(gate: Gate) -> str:
    """Execute the solved notebook in the unpacked zip. Its check cells pass, and it imports only the release."""

    def on_cell(number: int, total: int, cell_id: str) -> None:
        gate.progress(f"cell {number} of {total}: {cell_id}")

    try:
        gate.executed = execute(gate.folder, gate.built.solved, CELL_TIMEOUT, on_cell)
    except ExecutionError as error:
        raise FailedCheckError([str(error)]) from error
    problems = [
        f"imports {path}, which is not in the release" for path in gate.executed.files
        if _is_source(Path(path), gate.layout)
    ]  # fmt: skip
    for cell in gate.executed.notebook.cells:
        if cell.id.startswith("check-"):
            text = text_of(cell)
            if "passed" not in text or "✗" in text or "failed" in text:
                problems.append(f"cell {cell.id} does not say that its check passed: {text.strip()[:300]!r}")
    if problems:
        raise FailedCheckError(problems)
    return f"{gate.executed.seconds:.0f} s, {gate.executed.peak_bytes / 2**30:.2f} GB"


def _is_source(path: Path, layout: Layout) -> bool:
    """Return whether an imported file is one of the sources of the build, and not of the release."""
    roots = (layout.solutions, layout.template)
    return any(path.resolve().is_relative_to(root.resolve()) for root in roots)


def refresh_sample(gate: Gate) -> str:
    """Write the executed notebook as the reference sample submission."""
    assert gate.executed is not None, "the check `execution` comes first"
    target = gate.layout.samples / SAMPLE
    data = sample_file(gate.built, gate.executed.notebook)
    write_atomically(target, data)
    return f"{target.name}, {len(data) / 2**10:.0f} kB"


Check = Callable[[Gate], str]

STATIC: tuple[tuple[str, Check], ...] = (
    ("registry", check_registry),  # first: all others need it
    ("places", check_places),  # before the build, whose error would say less
    ("build", check_build),  # before the checks of the built files
    ("rebuild", lambda gate: static.check_rebuild(gate.built, gate.layout)),
    ("golden copy", lambda gate: static.check_golden(gate.built, gate.layout)),
    ("slots", lambda gate: static.check_slots(gate.built)),
    ("claims", lambda gate: check_claims(gate.built, gate.layout)),
    ("notebook", lambda gate: static.check_notebook(gate.built)),
    ("names", lambda gate: static.check_names(gate.built, gate.folder)),
    ("leaks", lambda gate: static.check_leaks(gate.built)),
    ("zip", lambda gate: static.check_zip(gate.built)),
    ("public checks", check_public_checks),
)
CHECKS: tuple[tuple[str, Check], ...] = (
    *STATIC,
    ("execution", check_execution),  # takes minutes, so after all quick checks
    ("sample", refresh_sample),  # after all others have passed
)

_REQUIRED = (check_registry, check_places, check_build)  # if one of these fails, the gate stops
_LAST = (check_execution, refresh_sample)  # run only if everything before them passed


def run_gate(
    layout: Layout | None = None,
    *,
    static_only: bool = False,
    slot_checks: Sequence[SlotCheck] = (),
    on_result: Callable[[GateResult], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[GateResult]:
    """Run the checks in order. After a failed check the notebook is not executed, but the quick checks still run.

    static_only: do not execute the notebook. slot_checks: look for the places of each slot. on_result: called after
    each check. progress: called with a short text while a check runs.
    """
    results: list[GateResult] = []
    with tempfile.TemporaryDirectory(prefix="rlhf-release-") as folder:
        gate = Gate(layout or Layout(), Path(folder).resolve(), progress, tuple(slot_checks))
        for name, check in STATIC if static_only else CHECKS:
            if check in _LAST and not all(result.ok for result in results):
                break
            start, summary, problems = time.monotonic(), "", list[str]()
            try:
                summary = check(gate)
            except FailedCheckError as error:
                problems = error.problems
            except OSError as error:
                problems = [f"{error.filename} cannot be read or written ({error.strerror})"]
            results.append(GateResult(name, summary, tuple(problems), time.monotonic() - start))
            on_result(results[-1])
            if problems and check in _REQUIRED:
                break
    return results
