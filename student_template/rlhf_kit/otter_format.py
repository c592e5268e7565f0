"""Reads and runs otter's exception-format test files, with otter-grader or without it.

A file sets `name` and defines functions under `@test_case(name=..., failure_message=...)`; a function's
parameters are names from the notebook, `env` is the whole namespace (otter-grader 7).
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """One test case. `parameters` are the names it takes from the notebook."""

    name: str
    parameters: tuple[str, ...]
    failure_message: str | None
    call: Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Loaded:
    """A test file's cases, in order, and how they were read: "otter" or "kit"."""

    cases: tuple[Case, ...]
    reader: str

    def run(self, case: Case, namespace: Mapping[str, Any]) -> BaseException | None:
        """Run one case; the error that failed it, or None. An interrupt by the user passes through."""
        try:
            case.call(dict(namespace))
        except (Exception, SystemExit) as error:
            return error
        return None


class TestCaseDecorator:
    """Stands in for `otter.test_files.test_case` where otter-grader is not installed."""

    __test__ = False  # not a test of ours, whatever pytest thinks of the name

    def __init__(
        self, name: str | None = None, points: float | None = None, hidden: bool = False,
        success_message: str | None = None, failure_message: str | None = None,
    ) -> None:
        self.name, self.points, self.hidden = name, points, hidden
        self.success_message, self.failure_message = success_message, failure_message
        self.test_func: Callable[..., None] = lambda: None

    def __call__(self, test_func: Callable[..., None]) -> TestCaseDecorator:
        self.test_func = test_func
        return self

    def call_func(self, global_environment: dict[str, Any]) -> None:
        """Call the test with the names it asks for; what is missing is None, as in otter."""
        names = inspect.signature(self.test_func).parameters
        self.test_func(**{n: global_environment if n == "env" else global_environment.get(n) for n in names})


def load_cases(path: Path) -> Loaded:
    """The cases of a test file. ValueError if the file is none of this format."""
    try:
        from otter.test_files import ExceptionTestFile
    except Exception:  # missing, or broken by another package: the checks must not depend on it
        return Loaded(tuple(_read_without_otter(path)), "kit")
    file = ExceptionTestFile.from_file(str(path))
    return Loaded(tuple(_case(test.body, test.name) for test in file.test_cases), "otter")


def _read_without_otter(path: Path) -> Iterator[Case]:
    env: dict[str, Any] = {}
    with _stand_in():
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), env)
    if "name" not in env:
        raise ValueError(f"{path} is not a test file: it does not define `name`")
    found = [value for value in env.values() if isinstance(value, TestCaseDecorator)]
    for number, test in enumerate(found, start=1):
        yield _case(test, test.name or f"{env['name']} - {number}")


def _case(test: Any, name: str) -> Case:
    parameters = tuple(inspect.signature(test.test_func).parameters)
    return Case(name, parameters, test.failure_message, test.call_func)


@contextmanager
def _stand_in() -> Iterator[None]:
    """Let `from otter.test_files import test_case` succeed while a file is read."""
    names = ("otter", "otter.test_files")
    before = {name: sys.modules.get(name) for name in names}
    package, module = types.ModuleType("otter"), types.ModuleType("otter.test_files")
    module.test_case = package.test_case = TestCaseDecorator  # type: ignore[attr-defined]
    package.test_files = module  # type: ignore[attr-defined]
    sys.modules.update(dict(zip(names, (package, module))))
    try:
        yield
    finally:
        for name, old in before.items():
            sys.modules.pop(name, None)
            if old is not None:
                sys.modules[name] = old
