"""The student's namespace: one module `submission` in which the prelude and all answers live."""

from __future__ import annotations

import ast
import builtins
import sys
import traceback
import types
from collections.abc import Mapping
from typing import Any

from .source import Parsed, defined_names, future_flags, parse_strict, parse_tolerant, remember

MODULE_NAME = "submission"
ERROR_TEXT = 2000


class SlotError(Exception):
    """A name that an operation needs cannot be had. `slot` is the slot's id, or "" if unknown."""

    def __init__(self, name: str, slot: str, reason: str) -> None:
        super().__init__(f"{slot or name}: {reason}")
        self.name, self.slot, self.reason = name, slot, reason


class SlotMissing(SlotError):
    """Nothing in the submission defines the name. The reply's kind is `not_attempted`."""


class SlotBroken(SlotError):
    """The slot's source fails while it is read or executed. The reply's kind is `crashed`."""


class Harmless:
    """Stands for notebook tools (`get_ipython`, `grader`): every attribute and call gives itself back."""

    def __getattr__(self, name: str) -> Harmless:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Harmless:
        return self

    def __repr__(self) -> str:
        return "<not available while grading>"


def _no_input(*args: Any) -> str:
    raise RuntimeError("input() is not available while grading: nobody can answer it")


def _display(*objects: Any, **options: Any) -> None:
    for item in objects:
        print(item)


def shown(error: BaseException) -> str:
    """`Type: text` of an exception, short, and safe against a student's own broken __str__."""
    try:
        text = str(error)
    except BaseException:
        text = "<the exception cannot be printed>"
    return f"{type(error).__name__}: {text}"[:ERROR_TEXT]


class Namespace:
    """Executes prelude and slots; `get` hands out what they define.

    code: {"prelude": str, "slots": {slot id: source} (order kept), "names": {slot id: name} (optional,
    what each slot must define; else the functions and classes in its source)}.
    `errors` lists what failed: {"where", "line", "error"}; a failed statement stops nothing but itself.
    """

    def __init__(self, code: Mapping[str, Any]) -> None:
        self.module = types.ModuleType(MODULE_NAME)
        self.errors: list[dict[str, Any]] = []
        self._broken: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._flags = 0
        sys.modules[MODULE_NAME] = self.module
        builtins.input = _no_input
        stub = Harmless()
        stubs: dict[str, Any] = {"get_ipython": lambda: stub, "grader": stub, "display": _display}
        for name, tool in stubs.items():
            setattr(self.module, name, tool)
        self._build(code)

    @property
    def globals(self) -> dict[str, Any]:
        """The namespace itself, e.g. for `kit.RLHFPipeline(ns.globals, …)`."""
        return self.module.__dict__

    def slot_of(self, name: str) -> str:
        """The id of the slot that defines `name`, or ""."""
        return self._owner.get(name, "")

    def get(self, name: str) -> Any:
        """What `name` is bound to. Raises SlotMissing or SlotBroken, both with the slot's id."""
        slot = self.slot_of(name)
        if slot in self._broken:
            raise SlotBroken(name, slot, self._broken[slot])
        if name not in self.module.__dict__:
            raise SlotMissing(name, slot, f"{name} is not defined")
        value = self.module.__dict__[name]
        if not callable(value):
            raise SlotBroken(name, slot, f"{name} is {type(value).__name__}, not a function or class")
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
        """Execute the prelude; returns the statements that failed for want of a name."""
        remember("<prelude>", source)
        parsed = self._parse(source, "prelude", tolerant=True)
        for line, message in parsed.dropped:
            self._note("prelude", line, message)
        retry = []
        for statement in parsed.statements:
            error = self._execute(statement, "<prelude>", "prelude", note=False)
            if isinstance(error, NameError):
                retry.append(statement)
            elif error is not None:
                self._note("prelude", statement.lineno, shown(error))
        return retry

    def _run_slot(self, slot: str, source: str, owned: tuple[str, ...]) -> None:
        """Execute one answer. It is broken if it does not parse or leaves an owned name undefined."""
        remember(f"<{slot}>", source)
        for name in owned:
            self.module.__dict__.pop(name, None)  # a prelude's function of that name is not the answer
        try:
            parsed = self._parse(source, slot, tolerant=False)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._broken[slot] = shown(error)
            self._note(slot, getattr(error, "lineno", None) or 1, shown(error))
            return
        first: BaseException | None = None
        for statement in parsed.statements:
            failure = self._execute(statement, f"<{slot}>", slot)
            first = first or failure
        undefined = [name for name in owned if name not in self.module.__dict__]
        if undefined and first is not None:
            self._broken[slot] = shown(first)

    def _parse(self, source: str, where: str, *, tolerant: bool) -> Parsed:
        parsed = parse_tolerant(source) if tolerant else parse_strict(source)
        self._flags |= future_flags(parsed.statements)
        return parsed

    def _execute(
        self, statement: ast.stmt, filename: str, where: str, *, note: bool = True
    ) -> BaseException | None:
        """Run one statement; an exception is noted and given back. SystemExit is one like any other."""
        try:
            tree = ast.Module(body=[statement], type_ignores=[])
            exec(compile(tree, filename, "exec", self._flags, dont_inherit=True), self.module.__dict__)
        except BaseException as error:
            if note:
                self._note(where, statement.lineno, shown(error))
            return error
        return None

    def _note(self, where: str, line: int, message: str) -> None:
        if len(self.errors) < 100:
            self.errors.append({"where": where, "line": line, "error": message})


def short_traceback(error: BaseException, limit: int = 8) -> str:
    """The last frames of a traceback as text, without our own above them, for the TA's page; at most 4 kB."""
    try:
        start = error.__traceback__
        while start is not None and start.tb_frame.f_globals.get("__package__") == __package__:
            start = start.tb_next
        lines = traceback.format_exception(type(error), error, start, limit=-limit)
        return "".join(lines)[-2 * ERROR_TEXT :]
    except BaseException:
        return shown(error)
