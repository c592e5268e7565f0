"""Does any of the solution survive in what students get? Compared by syntax tree, not by markers.

Markers only say what should have been removed; this looks at what is there. Three nets: statements
and larger expressions of a solution in the code students get, and its lines in prose, strings and comments.
"""

from __future__ import annotations

import ast
import json
import re
import tokenize
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from assignment.release.markers import region_of
from assignment.release.release import NOTEBOOK, Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from assignment.release.source import Cell

_PARTS = (
    ast.Call, ast.BinOp, ast.Compare, ast.BoolOp, ast.Subscript, ast.comprehension,
    ast.IfExp, ast.Lambda, ast.JoinedStr,
)  # fmt: skip
STATEMENT_WEIGHT = 2  # lighter statements (`return loss`, `optimizer.step()`, `n = len(x)`) say nothing
EXPRESSION_WEIGHT = 3  # lighter expressions (`x.sum()`, `labels[:, 1:]`) are anybody's
LINE_LENGTH = 24  # shorter lines of text coincide by chance


@dataclass(frozen=True)
class Fingerprint:
    """What must not appear: dumps of statements and expressions, and normalised lines, of one slot."""

    slot: str
    statements: Mapping[str, str]
    expressions: Mapping[str, str]
    lines: frozenset[str]


def weight(node: ast.AST) -> int:
    """How much a piece of code says: its calls, operators and subscripts."""
    return sum(isinstance(part, _PARTS) for part in ast.walk(node))


def is_trivial(statement: ast.stmt) -> bool:
    """A statement that anybody could have written: no arithmetic, and almost no calls."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)):
        return True
    arithmetic = any(isinstance(part, ast.BinOp) for part in ast.walk(statement))
    return weight(statement) < STATEMENT_WEIGHT and not arithmetic


def fingerprint(cell: Cell) -> Fingerprint:
    """The fingerprint of a slot cell's solution region."""
    region = region_of(cell.source, cell.place)
    assert region is not None, "a slot cell has a region"
    inside = [
        node for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, (ast.stmt, ast.expr)) and region.begin + 1 < node.lineno <= region.end
    ]  # fmt: skip
    statements = [node for node in inside if isinstance(node, ast.stmt) and not is_trivial(node)]
    expressions = [n for n in inside if isinstance(n, ast.expr) and weight(n) >= EXPRESSION_WEIGHT]
    body = cell.source.split("\n")[region.begin + 1 : region.end]
    lines = frozenset(line for line in map(_normal, body) if len(line) >= LINE_LENGTH)
    return Fingerprint(region.slot, _dumps(statements), _dumps(expressions), lines)


def _dumps(nodes: Iterable[ast.AST]) -> dict[str, str]:
    return {ast.dump(node): ast.unparse(node).split("\n")[0] for node in nodes}


def _normal(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip().lstrip("#").strip())


def find_leaks(release: Release) -> list[str]:
    """One sentence per piece of a solution that is in the student notebook, the public checks or the kit."""
    fingerprints = [fingerprint(cell) for cell in release.cells if cell.slot]
    problems: list[str] = []
    for where, source in _code(release):
        nodes = list(ast.walk(ast.parse(source)))
        statements = {ast.dump(node) for node in nodes if isinstance(node, ast.stmt)}
        heavy = [n for n in nodes if isinstance(n, ast.expr) and weight(n) >= EXPRESSION_WEIGHT]
        expressions = {ast.dump(node) for node in heavy}
        for mark in fingerprints:
            if where.startswith("rlhf_kit/"):
                problems += _in_kit(where, statements, mark)
            else:
                problems += _in_code(where, statements, expressions, mark)
    for where, text in _texts(release):
        problems += lines_left(where, text, fingerprints)
    return problems


def lines_left(where: str, text: str, fingerprints: Iterable[Fingerprint]) -> list[str]:
    """One sentence per line of a solution among the lines of a text."""
    found = {_normal(line) for line in text.split("\n")}
    return [
        f"{where}: a line of {mark.slot}'s solution: {line}"
        for mark in fingerprints for line in sorted(mark.lines & found)
    ]  # fmt: skip


def _in_code(where: str, statements: set[str], expressions: set[str], mark: Fingerprint) -> Iterator[str]:
    """Statements and expressions of a solution among a module's dumps."""
    found = statements & mark.statements.keys()
    for dump in sorted(found):
        yield f"{where}: a statement of {mark.slot}'s solution: {mark.statements[dump]}"
    for dump in sorted((expressions & mark.expressions.keys()) - found):
        yield f"{where}: an expression of {mark.slot}'s solution: {mark.expressions[dump]}"


def _in_kit(where: str, statements: set[str], mark: Fingerprint) -> Iterator[str]:
    """Half of a solution's statements or more. Single ones may coincide: the kit too pads and samples."""
    found = statements & mark.statements.keys()
    if found and 2 * len(found) >= len(mark.statements):
        yield f"{where}: {len(found)} of {len(mark.statements)} statements of {mark.slot}'s solution"


def _cells(release: Release) -> list[dict]:
    cells = json.loads(release.shipped[NOTEBOOK])["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def _code(release: Release) -> Iterator[tuple[str, str]]:
    """(where, source) of all code that is shipped."""
    for cell in _cells(release):
        if cell["cell_type"] == "code":
            yield f"{NOTEBOOK} cell {cell['id']}", cell["source"]
    for path, data in release.shipped.items():
        if path.endswith(".py"):
            yield path, data.decode("utf-8")


def _texts(release: Release) -> Iterator[tuple[str, str]]:
    """(where, text) of all prose that is shipped: markdown, and strings and comments in code."""
    for cell in _cells(release):
        if cell["cell_type"] != "code":
            yield f"{NOTEBOOK} cell {cell['id']}", cell["source"]
    for path, data in release.shipped.items():
        if path.endswith(".md"):
            yield path, data.decode("utf-8")
    for where, source in _code(release):
        tokens = tokenize.generate_tokens(StringIO(source).readline)
        yield where, "\n".join(t.string for t in tokens if t.type in (tokenize.COMMENT, tokenize.STRING))
