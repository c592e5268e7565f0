"""Find the names that a piece of code takes from outside and those that it sets."""

from __future__ import annotations

import ast
import symtable
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def global_names(text: str) -> frozenset[str]:
    """Return the names that code looks up in its module, according to Python's symbol tables."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            open_tables = [symtable.symtable(text, "<cell>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()  # it does not compile, so it needs nothing
    names: set[str] = set()
    while open_tables:
        table = open_tables.pop()
        top = table.get_type() == "module"
        names |= {s.get_name() for s in table.get_symbols() if (s.is_referenced() if top else s.is_global())}
        open_tables += table.get_children()
    return frozenset(names)


def needed_names(text: str, node: ast.AST, definitions: frozenset[str]) -> frozenset[str]:
    """Return the names that a piece of code needs: global names, and definitions that its strings name.

    Such strings are quoted annotations, for example, or arguments of `getattr`.
    """
    constants = (item.value for item in ast.walk(node) if isinstance(item, ast.Constant))
    mentioned = {value for value in constants if isinstance(value, str)}
    return global_names(text) | (definitions & mentioned)


def stored_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that are assigned anywhere in a piece of code."""
    for item in ast.walk(node):
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id
