"""Say whether a definition is still the one of the handout, with nothing written."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def is_blank(node: ast.stmt, slot_id: str) -> bool:
    """Say whether a definition is still the template's: its placeholder is reached, or it holds no code."""
    if isinstance(node, ast.ClassDef):
        named = [item for item in node.body if getattr(item, "name", "") == "forward"]
        return bool(named) and is_blank(named[-1], slot_id)
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    code = [statement for statement in node.body if not _is_empty(statement)]
    return not code or any(_is_placeholder(statement, slot_id) for statement in _straight_path(code))


def _straight_path(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements on the way through a body up to the first return or raise.

    Loops and with-blocks are entered, because given code may enclose the placeholder; the branches of `if` are not.
    """
    for statement in body:
        yield statement
        if isinstance(statement, (ast.For, ast.While, ast.With)):
            yield from _straight_path(statement.body)
        if isinstance(statement, (ast.Return, ast.Raise)):
            return


def _is_placeholder(statement: ast.stmt, slot_id: str) -> bool:
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    call = statement.exc
    name = call.func if isinstance(call, ast.Call) else call
    if not (isinstance(name, ast.Name) and name.id == "NotImplementedError"):
        return False
    text = call.args[0] if isinstance(call, ast.Call) and call.args else None
    return not isinstance(text, ast.Constant) or str(text.value).startswith((slot_id, "TODO"))


def _is_empty(statement: ast.stmt) -> bool:
    """Say whether this is a docstring, `...` or `pass`."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )
