"""Check that the grader has what each slot of the registry needs: hidden test, oracle, driver, known mistakes.

The tables that grading itself uses are checked. The release gate runs this (`rlhf-lab verify`), because a missing test
or driver would be a grader error in every submission of a class.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.core.text import one_line
from autograder.slots.misconceptions import LIBRARY, PRELUDE, Library, Mistake, read_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assignment.registry import Spec

ROOT = Path(__file__).resolve().parents[2]
TESTS, ORACLES, DRIVERS = "autograder/slots/hidden_tests/", "autograder/slots/oracles/", "autograder/inside/drive_*.py"
MODULES = (
    "autograder.slots.hidden_tests", "autograder.inside.drive_values", "autograder.inside.drive_models",
    "autograder.inside.drive_loops",
)  # fmt: skip


def problems(spec: Spec) -> Iterator[str]:
    """One line, with the file, for everything that is missing, unusable, or left over from a slot that was removed."""
    broken = [line for name in MODULES if (line := _import_error(name))]
    yield from dict.fromkeys(broken)
    for part in (_tests, _drivers, _library) if not broken else ():
        yield from part(spec)


def _import_error(name: str) -> str:
    """Why a module cannot be imported, with the line of this repository where the import failed; "" if it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a half-written file may raise anything
        return f"{_place_of(error)}: cannot be imported: {one_line(f'{type(error).__name__}: {error}', 200)}"
    return ""


def _place_of(error: Exception) -> str:
    """The last line of a module of this repository that ran before the error, as file:line."""
    if isinstance(error, SyntaxError):
        return f"{_relative(error.filename or '?')}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    return f"{_relative(inside[-1].filename)}:{inside[-1].lineno}" if inside else "the grader"


def _tests(spec: Spec) -> Iterator[str]:
    from autograder.slots.hidden_tests import HIDDEN_TESTS

    known = [slot.id for slot in spec.slots]
    for slot in known:
        test = HIDDEN_TESTS.get(slot)
        if test is None:
            yield f'{TESTS}: slot {slot} has no hidden test: a class under @hidden_test("{slot}", oracle=…)'
        elif not getattr(test, "task", ""):
            yield f"{_file(type(test))}: the hidden test of {slot} does not say what the slot has to do: set `task`"
        elif test.oracle is not None and not _file(test.oracle).startswith(ORACLES):
            where, name = _file(test.oracle), test.oracle.__name__
            yield f"{where}: {name}, the oracle of {slot}, has to stand in {ORACLES}, apart from the test"
    for slot, test in HIDDEN_TESTS.items():
        if slot not in known:
            yield f"{_file(type(test))}: {type(test).__name__} tests {slot}, which is no slot; remove it"


def _drivers(spec: Spec) -> Iterator[str]:
    from autograder.inside import driver_table

    known = [slot.id for slot in spec.slots]
    for slot in known:
        if slot not in driver_table.DRIVERS:
            yield f'{DRIVERS}: slot {slot} has no driver: a function under @driver("{slot}")'
    for slot, driver in driver_table.DRIVERS.items():
        if slot not in known:
            yield f"{_file(driver)}: {driver.__name__} drives {slot}, which is no slot; remove it"


def _library(spec: Spec) -> Iterator[str]:
    """Unusable entries, slots without a right answer or a mistake, and what is wrong in the fields of mistakes."""
    library, found = read_library()
    folder = _relative(str(LIBRARY)) + "/"
    yield from (f"{folder}{problem}" for problem in found)
    known = [slot.id for slot in spec.slots]
    for slot in known:
        if slot not in library.bases:
            yield f"{folder}: slot {slot} has no right answer to make mistakes of: [base.{slot}]"
        elif not library.mistakes[slot]:
            yield f'{folder}{library.files[slot]}: slot {slot} has no known mistake: [[mistake]] with slot = "{slot}"'
    for slot, file in library.files.items():
        if slot not in known:
            yield f"{folder}{file}: [base.{slot}] is of no slot; remove it and its mistakes"
    for mistakes in library.mistakes.values():
        for mistake in mistakes:
            wrong = _wrong_fields(mistake, spec) if mistake.slot in known else ()
            yield from (f"{folder}{mistake.file}: {mistake.id}: {line}" for line in wrong)
    yield from (f"{folder}{line}" for line in _undefined(library))


def _wrong_fields(mistake: Mistake, spec: Spec) -> Iterator[str]:
    for item in mistake.items:
        if item not in spec.items:
            yield f"items names {item}, which is no item of the registry"
    for field in ("keeps", "symptoms"):
        for item in getattr(mistake, field):
            if item not in mistake.items:
                yield f"{field} names {item}, which is not among its items"
    try:
        mistake.shares(spec)
    except (AttributeError, ValueError, ZeroDivisionError):
        named = ", ".join(type(spec.partial).model_fields)
        yield f"keeps has an entry that is neither a fraction such as 6/7 nor one of {named}"


def _undefined(library: Library) -> Iterator[str]:
    """Right answers that cannot be executed. While grading, one of them would prevent the naming of any mistake."""
    from autograder.slots.misconceptions.in_process import TrustedNamespace

    for slot, base in library.bases.items():
        try:
            TrustedNamespace([PRELUDE, base])
        except Exception as error:  # noqa: BLE001 - a half-written answer may raise anything
            reason = one_line(f"{type(error).__name__}: {error}", 200)
            yield f"{library.files[slot]}: [base.{slot}] cannot be defined: {reason}"


def _file(thing: Callable[..., Any]) -> str:
    return _relative(inspect.getsourcefile(thing) or "")


def _relative(path: str) -> str:
    return Path(path).relative_to(ROOT).as_posix() if Path(path).is_relative_to(ROOT) else path
