"""Split the source of a cell into top-level statements.

A cell with a syntax error is cut at its top-level statements, so that only the statement with the error is lost.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .ipython import as_python, logical_ends, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CONTINUES = re.compile(r"(?:else|elif|except|finally|case)\b|[\s#)\]}]|$")
_DEFINES = re.compile(
    r"^(?:(?:async[ \t]++)?(?:def|class)[ \t]++\w|@|(?:else|elif|except|finally)\b)", re.M
)  # where text that does not parse is cut
MARKER = re.compile(r"^[ \t]*#[#\s]*(?:todo|done|solved|answer)?[\s:·.\[(-]*([A-Z]\d{2})\b", re.I)


@dataclass(frozen=True)
class Piece:
    """One top-level statement of a cell, or a piece of text that does not parse.

    cell: the cell's index. line: its first line in the cell, from 1. text: its source, including decorators and the
    comments of its body. node: its syntax tree, or None if the text does not parse; `error` then says why, without
    quoting the source. marker: id of the slot whose marker is above or in it, or "".
    """

    cell: int
    line: int
    text: str
    node: ast.stmt | None
    marker: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        """Return the name that it defines or assigns, if it is one, even if the definition does not parse."""
        if isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return self.node.name
        if isinstance(self.node, ast.Assign) and len(self.node.targets) == 1:
            target = self.node.targets[0]
            return target.id if isinstance(target, ast.Name) else ""
        if self.node is None:
            found = re.search(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", self.text, re.M)
            return found[1] if found else ""
        return ""

    @property
    def is_definition(self) -> bool:
        """Say whether it is a function or a class, or looks like one that does not parse."""
        if self.node is None:
            return bool(self.name)
        return isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def split(cell: int, source: str, slots: Sequence[str]) -> list[Piece]:
    """Split a cell into its top-level statements, in order. slots: the ids that count as markers."""
    text = as_python(source)
    markers = [
        (number, found[1].upper())
        for number, line in enumerate(text.split("\n"), start=1)
        if (found := MARKER.match(line)) and found[1].upper() in slots
    ]
    tree = parse(text)
    if isinstance(tree, ast.Module):
        pieces = list(_statements(cell, text, 1, tree))
    else:
        pieces = [piece for line, chunk in _chunks(text) for piece in _salvage(cell, chunk, line)]
    return [_marked(piece, markers) for piece in pieces]


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield (first line, text) of each top-level statement of text that does not parse as a whole."""
    begins, start = [], 0
    for end in logical_ends(text):
        if not _CONTINUES.match(text[start:end]):
            begins.append(start)
        start = end
    yield from _cut(text, begins, 1)


def _cut(text: str, begins: list[int], first_line: int) -> Iterator[tuple[int, str]]:
    """Cut the text at the given offsets, but never between a decorator and what it decorates."""
    kept: list[int] = []
    decorated = False
    for begin in begins:
        if not decorated:
            kept.append(begin)
        decorated = text.startswith("@", begin)
    line = first_line
    for begin, end in pairwise([0, *kept, len(text)]):
        if text[begin:end].strip():
            yield line, text[begin:end]
        line += text.count("\n", begin, end)


def _salvage(cell: int, chunk: str, line: int) -> Iterator[Piece]:
    """Yield the chunk's statements. If it does not parse, yield its parts, of which some may parse.

    An open bracket or string, for example, makes one chunk of several statements.
    """
    tree = parse(chunk)
    if isinstance(tree, ast.Module):
        yield from _statements(cell, chunk, line, tree)
        return
    begins = [found.start() for found in _DEFINES.finditer(chunk) if found.start()]
    parts = list(_cut(chunk, begins, line))
    if len(parts) <= 1:
        yield Piece(cell, line, chunk, None, error=_moved(str(tree), line - 1))
        return
    for first, part in parts:
        found = parse(part)
        if isinstance(found, ast.Module):
            yield from _statements(cell, part, first, found)
        else:
            yield Piece(cell, first, part, None, error=_moved(found, first - 1))


def _moved(reason: str, by: int) -> str:
    """Shift the line number at the beginning of a reason."""
    return re.sub(r"^line (\d+)", lambda found: f"line {int(found[1]) + by}", reason)


def _statements(cell: int, text: str, line: int, tree: ast.Module) -> Iterator[Piece]:
    lines = text.split("\n")
    raw = [row.encode() for row in lines]  # the tree counts columns in bytes
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=False):  # an empty body has no pair
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        last = node.end_lineno or node.lineno
        begin = node.col_offset if first == node.lineno else 0
        if first == last:
            text_lines = [raw[first - 1][begin : node.end_col_offset].decode(errors="replace")]
        else:
            tail = raw[last - 1][: node.end_col_offset].decode(errors="replace")
            text_lines = [raw[first - 1][begin:].decode(errors="replace"), *lines[first : last - 1], tail]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            text_lines += _trailing_comments(lines[last : (after.lineno - 1) if after else None])
        yield Piece(cell, line + first - 1, "\n".join(text_lines), node)


def _trailing_comments(lines: list[str]) -> list[str]:
    """Return the indented comment lines after a body, which belong to it though the syntax tree does not say so."""
    kept = 0
    for number, text in enumerate(lines, start=1):
        if text[:1] in (" ", "\t") and text.lstrip().startswith("#"):
            kept = number
        elif text.strip():
            break
    return lines[:kept]


def _marked(piece: Piece, markers: list[tuple[int, str]]) -> Piece:
    last = piece.line + piece.text.count("\n")
    above = [slot for line, slot in markers if line <= piece.line]
    inside = [slot for line, slot in markers if piece.line < line <= last]
    marker = above[-1] if above else (inside[0] if inside else "")
    return Piece(piece.cell, piece.line, piece.text, piece.node, marker, piece.error)
