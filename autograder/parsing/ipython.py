"""Cell text -> Python: IPython's lines blanked, parsed with a reason for people. Pure; runs limited.

A notebook cell is not quite Python: magics, shell lines and help requests are blanked without moving
a line, so that line numbers still mean what the student sees.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator

# Cell magics whose body is ordinary Python that runs in the notebook's own namespace.
PYTHON_MAGICS = {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun"}
_MAGIC = re.compile(
    r"[ \t]*+(?:[!%].*|\?{1,2}[ \t]*+[\w.*]++|[\w.]++\?{1,2}|[\w, .]++=[ \t]*+[!%](?!=).*)[ \t]*+$"
)
_TOKEN = re.compile(  # possessive throughout: no input makes it backtrack
    r'''(?P<string>"""(?:[^"\\]++|\\.|"(?!""))*+(?:"""|\Z)|\'\'\'(?:[^'\\]++|\\.|'(?!''))*+(?:\'\'\'|\Z)'''
    r"""|"(?:[^"\\\n]++|\\.)*+"?|'(?:[^'\\\n]++|\\.)*+'?)"""
    r"""|(?P<comment>\#[^\n]*+)|(?P<open>[\[({])|(?P<close>[\])}])|(?P<joined>\\\n)|(?P<newline>\n)""",
    re.DOTALL,
)


def parse(text: str) -> ast.Module | str:
    """The syntax tree, or the reason why there is none, in words that quote no source."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        return _reason(error, text)
    except (ValueError, RecursionError, MemoryError):
        return "line 1: it cannot be read as Python"


def compiles(text: str) -> str:
    """Why text that parses does not compile (a `return` outside a function, …), or ""."""
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
    """The cell with the same lines, but without what only IPython understands.

    Text that is Python already is not touched. Line magics, shell lines and help requests become
    `pass`; a cell magic with a Python body loses its first line, any other cell magic everything.
    """
    if isinstance(parse(source), ast.Module):
        return source
    stripped = source.lstrip()
    if stripped.startswith("%%"):
        name = re.match(r"%%\s*(\w*)", stripped)
        blank_lines = "\n" * source[: len(source) - len(stripped)].count("\n")
        head, _, body = stripped.partition("\n")
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
    """IPython forgives a cell that is indented as a whole."""
    first = next((line for line in source.split("\n") if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    if not indent:
        return source
    return "\n".join(line.removeprefix(indent) for line in source.split("\n"))


def logical_ends(text: str) -> Iterator[int]:
    """Offsets behind each logical line: a newline outside strings and brackets ends one."""
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
