"""Check what people wrote about the slots against the current solutions: known mistakes, the study, pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

import rlhf_kit as kit
from assignment.registry import Spec
from assignment.release.release import Release
from assignment.release.source import reference_prelude
from autograder.calibration import DOCUMENT, study
from autograder.calibration.tables import TableError
from autograder.programs.replacement import replacement
from autograder.reference.models import ArtefactError, load_reference
from autograder.slots.misconceptions import LIBRARY, LibraryError, load_library
from autograder.training.stage import Lab
from rlhf_kit.checks import connect_grader
from tests.attacks import page as attacks
from tests.matrix import __main__ as matrix
from tests.matrix import store
from tests.matrix.invented import invented
from tests.refresh.rows import Row, checked, name_of, rows
from tests.solutions import mistakes as public
from tests.solutions.conftest import SOLUTIONS, cell_of, names_with, reference_names
from tests.submissions import make
from tests.support import slot_runs
from tests.support.stamps import stamped

SEED = 1  # of the hidden tests' inputs
ADAPT = "correct it, or, if the task changed, its oracle and hidden test in autograder/slots/"


def solutions(spec: Spec) -> list[Row]:
    """Check that every solution passes its hidden test, whose oracle was written independently of it.

    The other slots are answered by the library, so that a wrong one does not fail the slots that call it.
    """
    failed = {
        slot.id: slot_runs.failed_checks(slot.id, slot_runs.base_sources(slot.id, replacement(spec, slot.id)), SEED)
        for slot in spec.slots
    }
    found = [f"{slot} fails its hidden test ({names}): {ADAPT}" for slot, names in failed.items() if names]
    return rows("solutions", found, "each passes its hidden test")


def library() -> list[Row]:
    """Check that the library's right answers, of which its mistakes are edits, pass the hidden tests too."""
    failed = {slot: slot_runs.failed_checks(slot, slot_runs.base_sources(), SEED) for slot in load_library().bases}
    found = [f"[base.{slot}] fails its hidden test ({names}): {ADAPT}" for slot, names in failed.items() if names]
    try:
        invented()
    except ValueError as error:
        found.append(f"{error}: adapt its edit in tests/matrix/invented.py")
    return rows(name_of(LIBRARY), found, "each right answer passes its hidden test")


def typical(spec: Spec, release: Release) -> list[Row]:
    """Check that the typical sample's answers are right or wrong as intended."""
    what = name_of(Path(make.__file__))
    try:
        cells = make.slot_cells(release)
    except make.SampleError:  # reported in the sample's row
        return []
    found = []
    for slot in make.ANSWERS:
        imports, answer = reference_prelude([slot.id for slot in spec.slots]), f"{slot_runs.FUTURE}{cells[slot]}"
        names = slot_runs.failed_checks(slot, [imports, *slot_runs.base_sources(slot), make.HELPERS, answer], SEED)
        if slot in make.WRONG and not names:
            found.append(f"ANSWERS[{slot!r}] is meant to be wrong but passes the hidden test: rewrite it")
        elif names and slot not in make.WRONG:
            found.append(f"ANSWERS[{slot!r}] is meant to be right but fails the hidden test ({names}): rewrite it")
    return rows(what, found, "its answers are right or wrong as intended")


def mistakes() -> list[Row]:
    """Check that each mistake in tests/solutions/mistakes.py fits its slot and is caught by the public check."""
    path = Path(public.__file__)
    key = store.digest(store.hashes_of("solutions", "student_template/rlhf_kit", name_of(path)))
    return checked(name_of(path), key, lambda: [*not_caught(public.MISTAKES)], "each is caught by its public check")


def not_caught(entries: Sequence[public.Mistake]) -> Iterator[str]:
    """Yield a sentence for each mistake whose text does not occur once, or which passes the public check."""
    torch.set_num_threads(1)  # a second thread does not help on small inputs
    names = reference_names()
    for slot, mistake, old, new in entries:
        cell, label = cell_of(slot), f'{slot} "{mistake}"'
        if cell.count(old) != 1:
            yield f"{label}: its text stands {cell.count(old)} times in the solution, not once; adapt {old!r}"
            continue
        try:
            passed = connect_grader(SOLUTIONS / "checks", names_with(names, slot, cell.replace(old, new))).check(slot)
        except SyntaxError as error:
            yield f"{label}: the edited solution does not parse ({error.msg}); adapt {new!r}"
            continue
        if passed.passed:
            yield f"{label} passes solutions/checks/{slot}.py: sharpen the check, or adapt the mistake"


def calibration(spec: Spec) -> list[Row]:
    """Check that all runs of the study of the training tests were made with the current code."""
    what = name_of(DOCUMENT)
    try:
        lab = Lab(load_reference(), spec, kit.get_profile(), "cpu")
        jobs = study.jobs(lab)
        missing, old = len(study.missing(jobs)), study.outdated(lab, study.measured(spec))
    except (LibraryError, TableError, ArtefactError) as error:
        return rows(what, [f"{error}"])
    if not missing:
        return rows(what, [], f"all {len(jobs)} runs were made with the current code")
    older = f"{old} of {len(jobs)} runs were made with older code, data or configs"
    some = older if old else f"{missing} runs are missing"
    return rows(what, [f"{some}: `rlhf-lab calibrate` (hours, resumes)"])


def pages() -> list[Row]:
    """Check that the pages of docs/ with measurements were made with the current code."""
    made: Mapping[Path, tuple[str, str]] = {
        matrix.PAGE: (store.page_state(), "`make matrix` (about an hour, resumes)"),
        attacks.PAGE: (
            attacks.page_state(), "`make attacks` (about an hour, resumes), `python -m tests.attacks --write-docs`",
        ),
    }  # fmt: skip
    found = []
    for page, (state, command) in made.items():
        old = "made with other code" if stamped(page) else "does not say with which code it was made"
        found += rows(name_of(page), [] if stamped(page) == state else [f"{old}: {command}"])
    return found
