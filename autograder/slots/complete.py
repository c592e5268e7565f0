"""Does the grader have what each slot of the registry needs: hidden test, oracle, driver, known mistakes?

Asked of the tables that grading itself uses, so that what is found here is found there. The release gate asks it
(`rlhf-lab verify`); while grading, a missing test or driver would be a failure of the grader's for whole classes.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assignment.registry import Spec
from autograder.core.text import one_line
from autograder.slots.misconceptions import LIBRARY, PRELUDE, Library, Mistake, read

ROOT = Path(__file__).resolve().parents[2]
TESTS, ORACLES, DRIVERS = "autograder/slots/hidden_tests/", "autograder/slots/oracles/", "autograder/inside/drive_*.py"
MODULES = (
    "autograder.slots.hidden_tests", "autograder.inside.drive_values", "autograder.inside.drive_models",
    "autograder.inside.drive_loops",
)  # fmt: skip


def problems(spec: Spec) -> Iterator[str]:
    """One line, with the file, for each thing that is missing, not usable, or left over from a slot that is gone."""
    broken = [line for name in MODULES if (line := _import_error(name))]
    yield from dict.fromkeys(broken)
    for look in (_tests, _drivers, _library) if not broken else ():
        yield from look(spec)


def _import_error(name: str) -> str:
    """Why a module cannot be imported, with the line of ours where it ended; "" if it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a half-written file raises
        return f"{_place_of(error)}: cannot be imported: {one_line(f'{type(error).__name__}: {error}', 200)}"
    return ""


def _place_of(error: Exception) -> str:
    """The last line of a module of ours that ran before this error, as file:line."""
    if isinstance(error, SyntaxError):
        return f"{_relative(error.filename or '?')}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    return f"{_relative(ours[-1].filename)}:{ours[-1].lineno}" if ours else "the grader"


def _tests(spec: Spec) -> Iterator[str]:
    from autograder.slots.hidden_tests import HIDDEN_TESTS

    known = [slot.id for slot in spec.slots]
    for slot in known:
        test = HIDDEN_TESTS.get(slot)
        if test is None:
            yield f'{TESTS}: slot {slot} has no hidden test: a class under @hidden_test("{slot}", oracle=…)'
        elif not getattr(test, "asks", ""):
            yield f"{_file(type(test))}: the hidden test of {slot} does not say what it asks: set `asks`"
        elif test.oracle is not None and not _file(test.oracle).startswith(ORACLES):
            where, name = _file(test.oracle), test.oracle.__name__
            yield f"{where}: {name}, the oracle of {slot}, has to stand in {ORACLES}, apart from the test"
    for slot, test in HIDDEN_TESTS.items():
        if slot not in known:
            yield f"{_file(type(test))}: {type(test).__name__} tests {slot}, which is no slot; remove it"


def _drivers(spec: Spec) -> Iterator[str]:
    from autograder.inside.driver_table import DRIVERS as found

    known = [slot.id for slot in spec.slots]
    for slot in known:
        if slot not in found:
            yield f'{DRIVERS}: slot {slot} has no driver: a function under @driver("{slot}")'
    for slot, driver in found.items():
        if slot not in known:
            yield f"{_file(driver)}: {driver.__name__} drives {slot}, which is no slot; remove it"


def _library(spec: Spec) -> Iterator[str]:
    """Entries that are not usable; slots without a right answer or a mistake; what mistakes say of items."""
    library, found = read()
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
            said = _says(mistake, spec) if mistake.slot in known else ()
            yield from (f"{folder}{mistake.file}: {mistake.id}: {line}" for line in said)
    yield from (f"{folder}{line}" for line in _running(library))


def _says(mistake: Mistake, spec: Spec) -> Iterator[str]:
    for item in mistake.items:
        if item not in spec.items:
            yield f"items names {item}, which is no item of the registry"
    for field in ("keeps", "signs"):
        for item in getattr(mistake, field):
            if item not in mistake.items:
                yield f"{field} names {item}, which is not among its items"
    try:
        mistake.shares(spec)
    except (AttributeError, ValueError, ZeroDivisionError):
        named = ", ".join(type(spec.partial).model_fields)
        yield f"keeps has an entry that is neither a fraction such as 6/7 nor one of {named}"


def _running(library: Library) -> Iterator[str]:
    """Right answers that cannot be defined: while grading, each would silence the names of all mistakes."""
    from autograder.slots.misconceptions.local import TrustedNamespace

    for slot, base in library.bases.items():
        try:
            TrustedNamespace([PRELUDE, base])
        except Exception as error:  # whatever a half-written answer raises
            reason = one_line(f"{type(error).__name__}: {error}", 200)
            yield f"{library.files[slot]}: [base.{slot}] cannot be defined: {reason}"


def _file(thing: Callable[..., Any]) -> str:
    return _relative(inspect.getsourcefile(thing) or "")


def _relative(path: str) -> str:
    return Path(path).relative_to(ROOT).as_posix() if Path(path).is_relative_to(ROOT) else path
