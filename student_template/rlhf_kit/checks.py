"""Run the public checks: `grader.check("T07")` in the notebook, one otter test file per slot.

The files have otter's exception format. otter-grader runs them if it is installed, else the kit's own
reader. They are found by slot id in the folder `tests`, so that a renamed notebook or an editor that
drops metadata does not matter.
"""

from __future__ import annotations

import html
import linecache
import re
import sys
import traceback
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .export import Exported, ExportError, export_submission
from .history import watch_cells
from .otter_format import Case, Loaded, load_cases

KIT = Path(__file__).resolve().parent


class ChecksNotFoundError(Exception):
    """There is no such check, or no folder with checks; the message names the searched folders."""


@dataclass(frozen=True)
class CaseResult:
    """The result of one test case. message: the advice to the student. detail: the error in one line."""

    name: str
    passed: bool
    message: str = ""
    detail: str = ""


@dataclass(frozen=True)
class CheckResult:
    """The result of one slot's check, which a notebook shows. blank: the slot is not answered yet."""

    slot: str
    cases: tuple[CaseResult, ...]
    blank: bool = False

    @property
    def passed(self) -> bool:
        """Return whether every case passed."""
        return not self.blank and all(case.passed for case in self.cases)

    @property
    def headline(self) -> str:
        """Summarise the result in one line."""
        good = sum(case.passed for case in self.cases)
        if self.blank:
            return f"{self.slot}: not answered yet"
        if self.passed:
            return f"{self.slot}: all {good} checks passed"
        return f"{self.slot}: {good} of {len(self.cases)} checks passed"

    def __str__(self) -> str:
        lines = [self.headline]
        for name, *texts in self._failures():
            lines += [f"  ✗ {name}", *(f"      {text}" for text in texts)]
        return "\n".join(lines)

    def _failures(self) -> list[list[str]]:
        """Return the name and the texts of each failed case. A text that was there before is not repeated."""
        found: list[list[str]] = []
        for case in () if self.blank else self.cases:
            if not case.passed:
                said = {text for _, *texts in found for text in texts}
                texts = [text for text in (case.message, case.detail) if text]
                again = bool(texts) and said.issuperset(texts)
                found.append([case.name, *(["the same as above"] if again else texts)])
        return found

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li><b>{html.escape(name)}</b>"
            + "".join(f"<br>{html.escape(text)}" for text in texts)
            + "</li>"
            for name, *texts in self._failures()
        )
        mark = "✓" if self.passed else "…" if self.blank else "✗"
        return f"<p>{mark} {html.escape(self.headline)}</p>" + (
            f"<ul>{items}</ul>" if items else ""
        )


@dataclass(frozen=True)
class CheckReport:
    """The results of all checks, which a notebook shows."""

    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Return whether every slot's check passed."""
        return all(result.passed for result in self.results)

    @property
    def headline(self) -> str:
        """Summarise the result in one line."""
        good = sum(result.passed for result in self.results)
        return f"{good} of {len(self.results)} slots pass their public checks"

    def __str__(self) -> str:
        return "\n".join([*(str(result) for result in self.results), "", self.headline])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return (
            "".join(result._repr_html_() for result in self.results)
            + f"<p><b>{self.headline}</b></p>"
        )


class Grader:
    """Runs the public checks on a namespace; `connect_grader` makes one."""

    def __init__(self, tests_dir: Path, namespace: Mapping[str, Any]) -> None:
        self.tests_dir, self.namespace = tests_dir, namespace

    @property
    def slots(self) -> list[str]:
        """Return the ids of all slots with a check, in order."""
        return sorted(path.stem for path in self.tests_dir.glob("[A-Z][0-9][0-9].py"))

    def check(self, slot: str) -> CheckResult:
        """Run the check of one slot, such as "T07". ChecksNotFoundError if there is none."""
        path = self.tests_dir / f"{slot.strip().upper()}.py"
        if path.stem not in self.slots:
            raise ChecksNotFoundError(
                f"no check called {slot!r}; there are: {', '.join(self.slots)}"
            )
        loaded = load_cases(path)
        ran = [self._run(case, loaded) for case in loaded.cases]
        blank = any(
            isinstance(error, NotImplementedError) and str(error).startswith(path.stem)
            for _, error in ran
        )
        return CheckResult(path.stem, tuple(result for result, _ in ran), blank)

    def check_all(self) -> CheckReport:
        """Run every check, even after one failed."""
        return CheckReport(tuple(self.check(slot) for slot in self.slots))

    def export(
        self, notebook: str | Path | None = None, out: str | Path | None = None
    ) -> Exported | None:
        """Write the zip to submit. If that is not possible, print why and return None."""
        try:
            return export_submission(notebook, out, self.namespace)
        except ExportError as error:
            print(f"Nothing was exported: {error}")
            return None

    def _run(self, case: Case, loaded: Loaded) -> tuple[CaseResult, BaseException | None]:
        """Run one case. Returns its result and the error that failed it, if one did."""
        undefined = [
            name for name in case.parameters if name != "env" and name not in self.namespace
        ]
        if undefined:
            names = ", ".join(undefined)
            undefined_names = f"{names}: not defined; run the cell of the slot first"
            return CaseResult(case.name, False, undefined_names), None
        error = loaded.run(case, self.namespace)
        if error is None:
            return CaseResult(case.name, True), None
        detail = describe(error, self.namespace)
        return CaseResult(case.name, False, case.failure_message or "", detail), error


def describe(error: BaseException, namespace: Mapping[str, Any] | None = None) -> str:
    """Write an error in one sentence, without a traceback; nothing for an `assert` without a message.

    namespace: the notebook's names, by which the student's lines are told from those of kit and checks.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    yours = [(frame, line) for frame, line in frames if frame.f_globals is namespace]
    if isinstance(error, AssertionError) and not (yours and frames[-1][0] is yours[-1][0]):
        return " ".join(str(error).split())
    kind, text = type(error).__name__, " ".join(str(error).split())
    if isinstance(error, KeyError) and error.args:
        text = f"{error.args[0]} is not there"
    what = f"{kind}: {text}" if text else kind
    if isinstance(error, NotImplementedError) and (slot := re.match(r"[A-Z]\d\d\b", text)):
        return f"Your code calls {slot[0]}, which is not answered yet ({what})."
    if yours:
        return f"Your code stops with {what}{_place(*yours[-1])}"
    return f"The check cannot use what your code returns: {what}"


def _place(frame: types.FrameType, number: int) -> str:
    """Write where a line of the student's stands: its function, its number in the cell, and its text."""
    code = frame.f_code
    text = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    return f" in line {number} of the cell, in {code.co_name}" + (f": {text}" if text else "")


def connect_grader(
    tests_dir: str | Path | None = None, namespace: Mapping[str, Any] | None = None
) -> Grader:
    """Make the grader for this notebook.

    tests_dir: folder with T01.py …; by default `tests` beside the notebook or beside rlhf_kit. namespace:
    where the slots are defined; by default the notebook's globals. From now on it is noted which cells
    run, for the export. ChecksNotFoundError if there are no checks.
    """
    watch_cells()
    places = [Path(tests_dir)] if tests_dir is not None else [Path("tests"), KIT.parent / "tests"]
    for place in places:
        if any(place.glob("[A-Z][0-9][0-9].py")):
            caller = sys._getframe(1).f_globals
            return Grader(
                place.resolve(), _notebook_globals(caller) if namespace is None else namespace
            )
    looked = " and ".join(str(place.resolve()) for place in places)
    raise ChecksNotFoundError(
        f"no checks (T01.py, …) in {looked}: unpack the whole release zip and start there"
    )


def _notebook_globals(caller: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the notebook's globals, or the caller's outside of a notebook."""
    try:
        from IPython import get_ipython
    except ImportError:
        return caller
    shell = get_ipython()
    return caller if shell is None else shell.user_ns
