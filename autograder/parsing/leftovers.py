"""Check answered code for documentation and leftovers without running it. Runs in the limited child process.

Findings name a rule and a line but never quote the text, so that messages about them may be shown to anybody.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PRINTS = 3  # most print calls in one answer
COMMENTED_LINES = 3  # fewest consecutive comment lines that count as code that was commented out
_REMINDER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
_SLOT_MARKER = re.compile(r"#\W*(?i:TODO)\W*[A-Zt]\d\d\b")
_DEBUGGERS = {"pdb", "ipdb", "pudb", "debugpy"}
_CODE = (
    ast.Assign,
    ast.AugAssign,
    ast.AnnAssign,
    ast.Return,
    ast.If,
    ast.For,
    ast.While,
    ast.With,
    ast.Raise,
    ast.FunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assert,
    ast.Try,
)


def find_leftovers(payload: Mapping[str, Any], _: bytes = b"") -> dict[str, Any]:
    """Turn {"units": {name: source}} into {"undocumented": [names], "leftovers": [{"where", "rule", "line"}]}.

    A unit is an answer, named by its slot's id, or "helpers". Lines are counted from the unit's first line.
    """
    undocumented: list[str] = []
    leftovers: list[dict[str, Any]] = []
    for where, source in payload["units"].items():
        tree = ast.parse(source)
        comments = list(_comments(source))
        if not (comments or _has_docstring(tree)):
            undocumented.append(where)
        for rule, line in [*_in_comments(comments), *_in_code(tree)]:
            leftovers.append({"where": where, "rule": rule, "line": line})
    return {"undocumented": undocumented, "leftovers": leftovers}


def _has_docstring(tree: ast.AST) -> bool:
    """Say whether any definition in it (a class or its forward, for example) has a docstring."""
    return any(
        ast.get_docstring(node)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    )


def _comments(source: str) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, text, whether the line holds nothing else) of each comment."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and token.string.strip("# \t"):
                yield token.start[0], token.string, not token.line[: token.start[1]].strip()
    except (tokenize.TokenError, SyntaxError):  # tokenize rejects some text that ast accepts
        return


def _in_comments(comments: list[tuple[int, str, bool]]) -> Iterator[tuple[str, int]]:
    run: list[tuple[int, str]] = []
    for line, text, own_line in comments:
        if _REMINDER.search(text) and not _SLOT_MARKER.match(text):
            yield "reminder", line
        if run and (not own_line or line != run[-1][0] + 1):
            yield from _commented_out(run)
            run = []
        if own_line:
            run.append((line, text))
    yield from _commented_out(run)


def _commented_out(run: list[tuple[int, str]]) -> Iterator[tuple[str, int]]:
    """Report a block of comment lines that is code: it parses, and at least two of its statements do something."""
    if len(run) < COMMENTED_LINES:
        return
    text = textwrap.dedent("\n".join(line.lstrip("#") for _, line in run))
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    calls = [node for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    if len(calls) + sum(isinstance(node, _CODE) for node in body) >= 2:
        yield "commented_code", run[0][0]


def _in_code(tree: ast.Module) -> Iterator[tuple[str, int]]:
    prints = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            if _DEBUGGERS & {module.split(".")[0] for module in modules}:
                yield "debugger", node.lineno
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("breakpoint", "set_trace"):
                yield "debugger", node.lineno
            elif name == "print" and isinstance(node.func, ast.Name):
                prints.append(node.lineno)
        elif isinstance(node, ast.Raise) and _is_placeholder(node.exc):
            yield "placeholder", node.lineno
    if len(prints) > PRINTS:
        yield "prints", prints[0]


def _is_placeholder(raised: ast.expr | None) -> bool:
    """Say whether this is the template's placeholder, which an answer left in though it is never reached."""
    call = raised if isinstance(raised, ast.Call) else None
    text = call.args[0] if call and call.args else None
    return (
        call is not None
        and getattr(call.func, "id", "") == "NotImplementedError"
        and isinstance(text, ast.Constant)
        and re.match(r"[A-Z]\d\d:", str(text.value)) is not None
    )
