"""Parse student source into statements, setting IPython lines and broken statements aside."""

from __future__ import annotations
import __future__

import ast
import linecache
import re
from dataclasses import dataclass

MAGIC = re.compile(r"^(\s*)([!%].*|[\w.]+\?{1,2}|\?{1,2}[\w.]+)$")
TOP_LEVEL = re.compile(r"^[^\s#)\]}]")
MAX_REPAIRS = 50
FUTURE_FLAGS = {name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}


@dataclass(frozen=True)
class Parsed:
    """The statements that parse, and (line number, message) of those that were dropped."""

    statements: tuple[ast.stmt, ...]
    dropped: tuple[tuple[int, str], ...] = ()


def without_magics(source: str) -> str:
    """Replace `!shell`, `%magic` and `name?` lines by `pass`, and a whole text under a `%%cell` magic by nothing.

    Callers use it only for text that does not parse as Python, so it cannot hit a valid line that starts with `%`.
    """
    lines = source.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not re.match(r"%%(time|timeit|capture)\b", first):
        return ""
    return "\n".join(MAGIC.sub(r"\1pass", line) for line in lines)


def parse_strict(source: str) -> Parsed:
    """Parse a slot's source, ignoring IPython lines. Raises SyntaxError or ValueError on anything else."""
    try:
        return Parsed(tuple(ast.parse(source).body))
    except (SyntaxError, ValueError) as error:
        cleaned = without_magics(source)
        if cleaned == source:
            raise SyntaxError(str(error)) from error
        return Parsed(tuple(ast.parse(cleaned).body))


def parse_tolerant(source: str) -> Parsed:
    """Parse a prelude, dropping and reporting each top-level block that does not parse."""
    try:
        return parse_strict(source)
    except (SyntaxError, ValueError):
        lines = without_magics(source).split("\n")
    dropped: list[tuple[int, str]] = []
    for _ in range(MAX_REPAIRS):
        try:
            return Parsed(tuple(ast.parse("\n".join(lines)).body), tuple(dropped))
        except SyntaxError as error:
            line = min(max(error.lineno or 1, 1), len(lines))
            dropped.append((line, f"SyntaxError: {error.msg}"))
            _blank_block(lines, line - 1)
        except ValueError as error:
            return Parsed((), (*dropped, (1, f"ValueError: {error}")))
    return Parsed((), (*dropped, (1, "too many syntax errors")))


def _blank_block(lines: list[str], index: int) -> None:
    """Empty the top-level block around lines[index], from its first unindented line to the next one."""
    start = index
    while start > 0 and not TOP_LEVEL.match(lines[start]):
        start -= 1
    end = index + 1
    while end < len(lines) and not TOP_LEVEL.match(lines[end]):
        end += 1
    if not any(lines[start:end]):
        start, end = 0, len(lines)
    lines[start:end] = [""] * (end - start)


def remember(filename: str, source: str) -> None:
    """Let tracebacks and `inspect.getsource` show lines of text that is not in a file."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def future_flags(statements: tuple[ast.stmt, ...]) -> int:
    """Return the compiler flags of the `from __future__ import …` statements among these."""
    flags = 0
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                flags |= FUTURE_FLAGS.get(alias.name, 0)
    return flags


def defined_names(source: str) -> tuple[str, ...]:
    """Return the names of a source's top-level functions and classes, even if it does not parse."""
    return tuple(re.findall(r"^(?:async\s+def|def|class)\s+(\w+)", source, flags=re.MULTILINE))
