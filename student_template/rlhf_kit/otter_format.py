"""Read and run test files of otter's exception format (otter-grader 7), with or without otter-grader.

A file sets `name` and defines functions with the decorator `@test_case(name=..., failure_message=...)`. A
function's parameters are names from the notebook; `env` is the whole namespace.
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
    """One test case. parameters: the names that it takes from the notebook."""

    name: str
    parameters: tuple[str, ...]
    failure_message: str | None
    call: Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Loaded:
    """The cases of a test file, in order. reader: what read them, "otter" or "kit"."""

    cases: tuple[Case, ...]
    reader: str

    def run(self, case: Case, namespace: Mapping[str, Any]) -> BaseException | None:
        """Run one case, and return the error that failed it, or None. Lets KeyboardInterrupt through."""
        try:
            case.call(dict(namespace))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (a slot may raise anything)
            return error
        return None


class TestCaseDecorator:
    """Replaces `otter.test_files.test_case` if otter-grader is not installed."""

    __test__ = False  # for pytest: not a test, despite the name

    def __init__(
        self,
        name: str | None = None,
        points: float | None = None,
        hidden: bool = False,
        success_message: str | None = None,
        failure_message: str | None = None,
    ) -> None:
        self.name, self.points, self.hidden = name, points, hidden
        self.success_message, self.failure_message = success_message, failure_message
        self.test_func: Callable[..., None] = lambda: None

    def __call__(self, test_func: Callable[..., None]) -> TestCaseDecorator:
        self.test_func = test_func
        return self

    def call_func(self, global_environment: dict[str, Any]) -> None:
        """Call the test with the names that it asks for. A missing name is None, as in otter."""
        names = inspect.signature(self.test_func).parameters
        self.test_func(
            **{n: global_environment if n == "env" else global_environment.get(n) for n in names}
        )


def load_cases(path: Path) -> Loaded:
    """Read the cases of a test file. ValueError if it does not have this format."""
    try:
        from otter.test_files import ExceptionTestFile
    except Exception:  # noqa: BLE001 (missing, or broken in any way by another package)
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
    """Make `from otter.test_files import test_case` import the replacement while a file is read."""
    names = ("otter", "otter.test_files")
    before = {name: sys.modules.get(name) for name in names}
    package, module = types.ModuleType("otter"), types.ModuleType("otter.test_files")
    module.test_case = package.test_case = TestCaseDecorator  # type: ignore[attr-defined]
    package.test_files = module  # type: ignore[attr-defined]
    sys.modules.update(dict(zip(names, (package, module), strict=True)))
    try:
        yield
    finally:
        for name, old in before.items():
            sys.modules.pop(name, None)
            if old is not None:
                sys.modules[name] = old
