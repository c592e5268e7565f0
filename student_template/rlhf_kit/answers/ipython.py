"""Turn the text of a cell into Python by blanking IPython's lines, and explain what does not parse.

Magics, shell lines and help requests are blanked without moving a line, so that line numbers stay those that the
student sees.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Cell magics whose body is ordinary Python that runs in the notebook's namespace.
PYTHON_MAGICS = {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun"}
_MAGIC = re.compile(r"[ \t]*+(?:[!%].*|\?{1,2}[ \t]*+[\w.*]++|[\w.]++\?{1,2}|[\w, .]++=[ \t]*+[!%](?!=).*)[ \t]*+$")
_TOKEN = re.compile(  # all quantifiers are possessive, so that no input makes it backtrack
    r'''(?P<string>"""(?:[^"\\]++|\\.|"(?!""))*+(?:"""|\Z)|\'\'\'(?:[^'\\]++|\\.|'(?!''))*+(?:\'\'\'|\Z)'''
    r"""|"(?:[^"\\\n]++|\\.)*+"?|'(?:[^'\\\n]++|\\.)*+'?)"""
    r"""|(?P<comment>\#[^\n]*+)|(?P<open>[\[({])|(?P<close>[\])}])|(?P<joined>\\\n)|(?P<newline>\n)""",
    re.DOTALL,
)


def parse(text: str) -> ast.Module | str:
    """Return the syntax tree, or the reason why there is none, without quoting the source."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        return _reason(error, text)
    except (ValueError, RecursionError, MemoryError):
        return "line 1: it cannot be read as Python"


def compile_error(text: str) -> str:
    """Return the reason why text that parses does not compile (such as a `return` outside a function), or ""."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<cell>", "exec", dont_inherit=True)
        return ""
    except SyntaxError as error:
        return _reason(error, text)
    except (ValueError, RecursionError, MemoryError):
        return "line 1: it cannot be read as Python"


def _reason(error: SyntaxError, text: str) -> str:
    message = re.sub(r"'[^']{4,}'", "'…'", error.msg or "invalid syntax")
    message = "".join(c for c in message if c.isprintable())[:120]
    if isinstance(error, TabError):
        message = "tabs and spaces are mixed in the indentation"
    return f"line {error.lineno or 1}: {message}{_newer_python(error, text)}"


def _newer_python(error: SyntaxError, text: str) -> str:
    lines = text.split("\n")
    line = lines[(error.lineno or 1) - 1] if (error.lineno or 1) <= len(lines) else ""
    generic = re.match(r"\s*(?:(?:async\s+)?def|class)\s+\w+\s*\[|\s*type\s+\w+.*=", line)
    if sys.version_info >= (3, 12) or not (generic or (error.msg or "").startswith("f-string")):
        return ""
    what = "type parameters" if generic else "quotes of the same kind inside an f-string"
    return f"; {what} need Python 3.12, and the grader runs Python {'.'.join(map(str, sys.version_info[:2]))}"


def as_python(source: str) -> str:
    """Return the cell with the same number of lines, without what only IPython understands.

    Text that is valid Python is returned unchanged. Line magics, shell lines and help requests become `pass`. A cell
    magic with a Python body loses its first line; any other cell magic loses its whole text.
    """
    if isinstance(parse(source), ast.Module):
        return source
    stripped = source.lstrip()
    if stripped.startswith("%%"):
        name = re.match(r"%%\s*(\w*)", stripped)
        blank_lines = "\n" * source[: len(source) - len(stripped)].count("\n")
        body = stripped.partition("\n")[2]
        source = blank_lines + "\n" + body if name and name[1] in PYTHON_MAGICS else "\n" * source.count("\n")
    source = _dedented(source)
    parts, start = [], 0
    for end in logical_ends(source):
        parts.append(source[start:end])
        start = end
    return "".join(map(_without_magic, parts))


def _without_magic(part: str) -> str:
    first, newline, rest = part.partition("\n")
    if not _MAGIC.match(first):
        return part
    indent = first[: len(first) - len(first.lstrip())]
    return f"{indent}pass{newline}" + "\n" * rest.count("\n")


def _dedented(source: str) -> str:
    """Remove the indentation of a cell that is indented as a whole, as IPython does."""
    first = next((line for line in source.split("\n") if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    if not indent:
        return source
    return "\n".join(line.removeprefix(indent) for line in source.split("\n"))


def logical_ends(text: str) -> Iterator[int]:
    """Yield the offset after each logical line, which ends at a newline outside strings and brackets."""
    start = 0
    while start < len(text):
        line_end = text.find("\n", start)
        line_end = len(text) if line_end < 0 else line_end
        if _MAGIC.match(text[start:line_end]):  # its quotes and brackets are not Python's
            while text[start:line_end].endswith("\\") and line_end < len(text):
                line_end = text.find("\n", line_end + 1)
                line_end = len(text) if line_end < 0 else line_end
            start = min(line_end + 1, len(text))
        else:
            start = _end_of_logical_line(text, start)
        yield start


def _end_of_logical_line(text: str, start: int) -> int:
    depth, position = 0, start
    while match := _TOKEN.search(text, position):
        position = match.end()
        if match.lastgroup == "open":
            depth += 1
        elif match.lastgroup == "close":
            depth = max(0, depth - 1)
        elif match.lastgroup == "newline" and depth == 0:
            return position
    return len(text)
