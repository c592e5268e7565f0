"""The student's namespace: one module, `submission`, in which the prelude and all answers are executed."""

from __future__ import annotations

import ast
import builtins
import sys
import traceback
import types
from typing import TYPE_CHECKING, Any

from .source import Parsed, defined_names, future_flags, parse_strict, parse_tolerant, remember

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE_NAME = "submission"
ERROR_TEXT = 2000


class SlotError(Exception):
    """A name that an operation needs is not available. `slot` is the slot's id, or "" if unknown."""

    def __init__(self, name: str, slot: str, reason: str) -> None:
        super().__init__(f"{slot or name}: {reason}")
        self.name, self.slot, self.reason = name, slot, reason


class SlotMissingError(SlotError):
    """Nothing in the submission defines the name. The reply's kind becomes `not_attempted`."""


class SlotBrokenError(SlotError):
    """The slot's source fails while it is parsed or executed. The reply's kind becomes `crashed`."""


class NotebookToolStub:
    """Replaces a notebook tool (`get_ipython`, `grader`): every attribute and every call returns the stub itself."""

    def __getattr__(self, name: str) -> NotebookToolStub:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_args: Any, **_kwargs: Any) -> NotebookToolStub:
        return self

    def __repr__(self) -> str:
        return "<not available while grading>"


def _refuse_input(*_args: Any) -> str:
    raise RuntimeError("input() is not available while grading: nobody can answer it")


def _display(*objects: Any, **_options: Any) -> None:
    for item in objects:
        print(item)


def describe(error: BaseException) -> str:
    """Return `Type: text` of an exception, cut short. It does not fail if a student's __str__ does."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 (a student's __str__ may raise anything)
        text = "<the exception cannot be printed>"
    return f"{type(error).__name__}: {text}"[:ERROR_TEXT]


class Namespace:
    """Executes the prelude and the slots; `get` returns what they define.

    code: {"prelude": str, "slots": {slot id: source}, "names": {slot id: name}}. Slots are executed in the given order.
    "names" is optional and says what each slot must define; without it, its source's functions and classes are taken.
    `errors` lists what failed: {"where", "line", "error"}. After a failed statement, execution goes on with the next.
    """

    def __init__(self, code: Mapping[str, Any]) -> None:
        self.module = types.ModuleType(MODULE_NAME)
        self.errors: list[dict[str, Any]] = []
        self._broken: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._flags = 0
        sys.modules[MODULE_NAME] = self.module
        builtins.input = _refuse_input
        stub = NotebookToolStub()
        stubs: dict[str, Any] = {"get_ipython": lambda: stub, "grader": stub, "display": _display}
        for name, tool in stubs.items():
            setattr(self.module, name, tool)
        self._build(code)

    @property
    def globals(self) -> dict[str, Any]:
        """Return the namespace itself, e.g. for `kit.RLHFPipeline(ns.globals, …)`."""
        return self.module.__dict__

    def slot_of(self, name: str) -> str:
        """Return the id of the slot that defines `name`, or ""."""
        return self._owner.get(name, "")

    def get(self, name: str) -> Any:
        """Return the function or class of that name. Raises SlotMissingError or SlotBrokenError with the slot's id."""
        slot = self.slot_of(name)
        if slot in self._broken:
            raise SlotBrokenError(name, slot, self._broken[slot])
        if name not in self.module.__dict__:
            raise SlotMissingError(name, slot, f"{name} is not defined")
        value = self.module.__dict__[name]
        if not callable(value):
            raise SlotBrokenError(name, slot, f"{name} is {type(value).__name__}, not a function or class")
        return value

    def _build(self, code: Mapping[str, Any]) -> None:
        names = dict(code.get("names") or {})
        prelude = str(code.get("prelude") or "")
        retry = self._run_prelude(prelude)
        for slot, source in dict(code.get("slots") or {}).items():
            owned = (names[slot],) if slot in names else defined_names(source)
            for name in owned:
                self._owner[name] = slot
            self._run_slot(slot, source, owned)
        for statement in retry:  # a constant of the prelude may need an answer that came after it
            self._execute(statement, "<prelude>", "prelude")

    def _run_prelude(self, source: str) -> list[ast.stmt]:
        """Execute the prelude and return the statements that failed with NameError."""
        remember("<prelude>", source)
        parsed = self._parse(source, tolerant=True)
        for line, message in parsed.dropped:
            self._record("prelude", line, message)
        retry = []
        for statement in parsed.statements:
            error = self._execute(statement, "<prelude>")
            if isinstance(error, NameError):
                retry.append(statement)
            elif error is not None:
                self._record("prelude", statement.lineno, describe(error))
        return retry

    def _run_slot(self, slot: str, source: str, owned: tuple[str, ...]) -> None:
        """Execute one answer. It counts as broken if it does not parse or leaves an owned name undefined."""
        remember(f"<{slot}>", source)
        for name in owned:
            self.module.__dict__.pop(name, None)  # a prelude's function of that name is not the answer
        try:
            parsed = self._parse(source, tolerant=False)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._broken[slot] = describe(error)
            self._record(slot, getattr(error, "lineno", None) or 1, describe(error))
            return
        first: BaseException | None = None
        for statement in parsed.statements:
            failure = self._execute(statement, f"<{slot}>", slot)
            first = first or failure
        undefined = [name for name in owned if name not in self.module.__dict__]
        if undefined and first is not None:
            self._broken[slot] = describe(first)

    def _parse(self, source: str, *, tolerant: bool) -> Parsed:
        parsed = parse_tolerant(source) if tolerant else parse_strict(source)
        self._flags |= future_flags(parsed.statements)
        return parsed

    def _execute(self, statement: ast.stmt, filename: str, where: str = "") -> BaseException | None:
        """Run one statement and return the exception that it raised, which may be SystemExit, or None.

        where: the slot's id or "prelude", under which to record the exception; "" to record nothing.
        """
        try:
            tree = ast.Module(body=[statement], type_ignores=[])
            exec(compile(tree, filename, "exec", self._flags, dont_inherit=True), self.module.__dict__)
        except BaseException as error:  # noqa: BLE001 (exit() in a cell ends that statement only)
            if where:
                self._record(where, statement.lineno, describe(error))
            return error
        return None

    def _record(self, where: str, line: int, message: str) -> None:
        if len(self.errors) < 100:
            self.errors.append({"where": where, "line": line, "error": message})


def short_traceback(error: BaseException, limit: int = 8) -> str:
    """Return the last frames of a traceback as text of at most 4 kB, for the TA. The grader's frames are left out."""
    try:
        start = error.__traceback__
        while start is not None and start.tb_frame.f_globals.get("__package__") == __package__:
            start = start.tb_next
        lines = traceback.format_exception(type(error), error, start, limit=-limit)
        return "".join(lines)[-2 * ERROR_TEXT :]
    except BaseException:  # noqa: BLE001 (a student's exception may fail in any way while it is formatted)
        return describe(error)
