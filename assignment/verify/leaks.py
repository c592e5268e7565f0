"""Find parts of the solutions in the files that students get.

Markers say what should have been removed; this module checks the result. It looks for statements and larger
expressions of a solution in code, by syntax tree, and for lines of a solution in prose, strings and comments.
"""

from __future__ import annotations

import ast
import json
import re
import tokenize
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from assignment.release.archive import NOTEBOOK
from assignment.release.markers import region_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from assignment.release.release import Release
    from assignment.release.source import Cell

_COUNTED = (  # kinds of nodes that `weight` counts
    ast.Call, ast.BinOp, ast.Compare, ast.BoolOp, ast.Subscript, ast.comprehension,
    ast.IfExp, ast.Lambda, ast.JoinedStr,
)  # fmt: skip
STATEMENT_WEIGHT = 2  # lighter statements, such as `return loss` and `n = len(x)`, prove nothing
EXPRESSION_WEIGHT = 3  # lighter expressions, such as `x.sum()` and `labels[:, 1:]`, prove nothing
LINE_LENGTH = 24  # shorter lines of text are equal by chance


@dataclass(frozen=True)
class Fingerprint:
    """What must not appear of one slot's solution: statements and expressions (ast dump -> source), and lines."""

    slot: str
    statements: Mapping[str, str]
    expressions: Mapping[str, str]
    lines: frozenset[str]


def weight(node: ast.AST) -> int:
    """Count the calls, operators, subscripts and the like in a piece of code."""
    return sum(isinstance(part, _COUNTED) for part in ast.walk(node))


def is_trivial(statement: ast.stmt) -> bool:
    """Return whether a statement is too simple to prove a leak: no arithmetic, and almost no calls."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)):
        return True
    arithmetic = any(isinstance(part, ast.BinOp) for part in ast.walk(statement))
    return weight(statement) < STATEMENT_WEIGHT and not arithmetic


def fingerprint(cell: Cell) -> Fingerprint:
    """Take the fingerprint of a slot cell's solution region."""
    region = region_of(cell.source, cell.location)
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
    """Return one sentence for each part of a solution in the student notebook, the public checks or the kit."""
    fingerprints = [fingerprint(cell) for cell in release.cells if cell.slot]
    problems: list[str] = []
    for where, source in _code(release):
        nodes = list(ast.walk(ast.parse(source)))
        statements = {ast.dump(node) for node in nodes if isinstance(node, ast.stmt)}
        heavy = [n for n in nodes if isinstance(n, ast.expr) and weight(n) >= EXPRESSION_WEIGHT]
        expressions = {ast.dump(node) for node in heavy}
        for one in fingerprints:
            if where.startswith("rlhf_kit/"):
                problems += _in_kit(where, statements, one)
            else:
                problems += _in_code(where, statements, expressions, one)
    for where, text in _texts(release):
        problems += lines_left(where, text, fingerprints)
    return problems


def lines_left(where: str, text: str, fingerprints: Iterable[Fingerprint]) -> list[str]:
    """Return one sentence for each line of a text that is a line of a solution."""
    found = {_normal(line) for line in text.split("\n")}
    return [
        f"{where}: a line of {one.slot}'s solution: {line}"
        for one in fingerprints for line in sorted(one.lines & found)
    ]  # fmt: skip


def _in_code(where: str, statements: set[str], expressions: set[str], solution: Fingerprint) -> Iterator[str]:
    """Yield a sentence for each statement and expression of a solution among the dumps of a module."""
    found = statements & solution.statements.keys()
    for dump in sorted(found):
        yield f"{where}: a statement of {solution.slot}'s solution: {solution.statements[dump]}"
    for dump in sorted((expressions & solution.expressions.keys()) - found):
        yield f"{where}: an expression of {solution.slot}'s solution: {solution.expressions[dump]}"


def _in_kit(where: str, statements: set[str], solution: Fingerprint) -> Iterator[str]:
    """Yield a sentence if half of a solution's statements are in the kit, which also pads and samples, as slots do."""
    found = statements & solution.statements.keys()
    if found and 2 * len(found) >= len(solution.statements):
        yield f"{where}: {len(found)} of {len(solution.statements)} statements of {solution.slot}'s solution"


def _cells(release: Release) -> list[dict[str, Any]]:
    """Return the cells of the student notebook, each with its source as one str."""
    cells = json.loads(release.shipped[NOTEBOOK])["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def _code(release: Release) -> Iterator[tuple[str, str]]:
    """Yield (where, source) of all code in the release."""
    for cell in _cells(release):
        if cell["cell_type"] == "code":
            yield f"{NOTEBOOK} cell {cell['id']}", cell["source"]
    for path, data in release.shipped.items():
        if path.endswith(".py"):
            yield path, data.decode("utf-8")


def _texts(release: Release) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of all prose in the release: Markdown, and the strings and comments in code."""
    for cell in _cells(release):
        if cell["cell_type"] != "code":
            yield f"{NOTEBOOK} cell {cell['id']}", cell["source"]
    for path, data in release.shipped.items():
        if path.endswith(".md"):
            yield path, data.decode("utf-8")
    for where, source in _code(release):
        tokens = tokenize.generate_tokens(StringIO(source).readline)
        yield where, "\n".join(t.string for t in tokens if t.type in (tokenize.COMMENT, tokenize.STRING))
