"""Find slot markers in a cell, and refuse lines that only look like markers.

A slot is one code cell::

    # TODO T07 · one-line task                 first line of the cell
    def bradley_terry_loss(...) -> ...:
        ...                                    signature, docstring, scaffolding: kept
        # BEGIN SOLUTION T07                   full-line comment, indented like the code it encloses
        ...                                    removed from the student's notebook
        # END SOLUTION

A sentence that says what a reader will see in a run has the mark ``<!-- CLAIM an_id another_id -->`` before it, in a
markdown cell, with the ids of what it claims.
The register, assignment/registry/claims.toml, says which number of a run decides whether the sentence is true.

Markers have to match exactly. A line that almost matches is an error, because skipping it would
leave the solution, or the mark, in the student's notebook.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assignment.registry.tables import CLAIM_ID, SLOT_ID, WRITTEN_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

TODO = re.compile(rf"^# TODO ({SLOT_ID}) · (\S(?:.*\S)?)$")
BEGIN = re.compile(rf"^( *)# BEGIN SOLUTION ({SLOT_ID})$")
END = re.compile(r"^( *)# END SOLUTION$")
WRITTEN = re.compile(rf"^<!-- WRITTEN ({WRITTEN_ID}) · (\S(?:.*\S)?) -->$")
CLAIM = re.compile(rf"<!-- CLAIM ({CLAIM_ID}(?: {CLAIM_ID})*) -->[ \n]?")  # with the blank after it

# Lines that an author may have meant as a marker.
_LIKE_REGION = re.compile(r"(?i)^#+[\W_]*(?:(?:begin|end|start|stop)[\W_]*)?solutions?\b")
_LIKE_REGION_ANYWHERE = re.compile(r"(?i)\b(?:begin|end)[\W_]*solution")
_LIKE_TODO = re.compile(r"(?i)^#+\s*to[\s_-]*do\b\W*[a-z]\W?\d")
_LIKE_WRITTEN = re.compile(r"(?i)^\s*<!--\s*written\b")
_LIKE_CLAIM = re.compile(r"(?i)<!-*\s*claim\b|\bclaim\s+\S+\s*-->")
_HELPER = re.compile(r"(?:async def|def|class) |@")


class SourceError(ValueError):
    """A part of the reference solution cannot be built; the message begins with file:line."""


@dataclass(frozen=True)
class Region:
    """The solution region of a cell: the 0-based line numbers of its two marker lines, and their indent."""

    slot: str
    begin: int
    end: int
    indent: str


@dataclass(frozen=True)
class Location:
    """The file and line where a cell begins, for error messages."""

    file: str
    line: int  # 1-based

    def error(self, offset: int, message: str) -> SourceError:
        """Make the error for the cell's line `offset` (0-based)."""
        return SourceError(f"{self.file}:{self.line + offset}: {message}")


def comments(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield (0-based line, column, text) of every comment in code that parses."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0] - 1, token.start[1], token.string


def parse(source: str, location: Location) -> ast.Module:
    """Parse a cell into a syntax tree.

    Raises:
        SourceError: the code does not parse.
    """
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise location.error((error.lineno or 1) - 1, f"does not parse: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, brackets nested too deeply
        raise location.error(0, f"does not parse: {error or 'too complex'}") from error


def slot_of(source: str, location: Location) -> tuple[str, str] | None:
    """Return (slot id, task) from a code cell's first line, or None if the cell is not a slot's.

    Raises:
        SourceError: a line almost matches a slot's first line, or is not the first line.
    """
    lines = source.split("\n")
    match = TODO.match(lines[0])
    for line, _, text in comments(source):
        if _LIKE_TODO.match(text) and not (line == 0 and match):
            why = "must be the cell's first line" if TODO.match(lines[line]) else "is not a slot's first line"
            raise location.error(line, f"{text!r} {why}; write `# TODO T07 · one-line task` as the first line")
    return (match[1], match[2]) if match else None


def region_of(source: str, location: Location) -> Region | None:
    """Return the solution region of a code cell, or None if it has none.

    Raises:
        SourceError: a line almost matches a marker; a region is nested, not closed, not opened, empty, wrongly
            indented, or the second one.
    """
    lines, comment_lines = source.split("\n"), {line: text for line, _, text in comments(source)}
    region: Region | None = None
    opened: re.Match[str] | None = None
    at = 0
    for number, line in enumerate(lines):
        begin, end = BEGIN.match(line), END.match(line)
        if number not in comment_lines or not (begin or end):
            _refuse_lookalike(line, comment_lines.get(number, ""), number, location)
        elif begin:
            if opened:
                raise location.error(number, f"nested: the region of line {location.line + at} is still open")
            if region:
                raise location.error(number, "a second solution region in one cell; a slot has one")
            opened, at = begin, number
        elif end:
            if not opened:
                raise location.error(number, "END SOLUTION without a BEGIN SOLUTION above it")
            if end[1] != opened[1]:
                raise location.error(number, "END SOLUTION is not indented like its BEGIN SOLUTION")
            region = Region(opened[2], at, number, opened[1])
            _check_body(lines, region, location)
            opened = None
    if opened:
        raise location.error(at, f"BEGIN SOLUTION {opened[2]} is never closed: `# END SOLUTION` is missing")
    return region


def _refuse_lookalike(line: str, comment: str, number: int, location: Location) -> None:
    """Raise a SourceError if a line that is not a marker looks like one, in a comment or in a string."""
    if _LIKE_REGION.match(comment) or _LIKE_REGION_ANYWHERE.search(line):
        raise location.error(
            number,
            f"{line.strip()!r} looks like a solution marker but is not one; markers are full lines, exactly "
            "`# BEGIN SOLUTION T07` and `# END SOLUTION`",
        )


def _check_body(lines: list[str], region: Region, location: Location) -> None:
    """Raise a SourceError unless the region holds code that starts at the indent of its markers."""
    body = lines[region.begin + 1 : region.end]
    code = [line for line in body if line.strip() and not line.lstrip().startswith("#")]
    if not code:
        raise location.error(region.begin, f"the solution region of {region.slot} is empty")
    for offset, line in enumerate(body, start=1):
        if _HELPER.match(line):
            break  # helper functions at module level may follow the solution (T14, T15)
        if line.strip() and not line.startswith(region.indent):
            raise location.error(region.begin + offset, "this line is indented less than the region's markers")
    if code[0][len(region.indent)].isspace():
        raise location.error(region.begin, "the region's markers are not indented like the code they enclose")


def written_of(source: str, location: Location) -> tuple[str, str] | None:
    """Return (id, question) from a markdown cell's first line `<!-- WRITTEN W1 · question -->`, or None.

    Raises:
        SourceError: a line almost matches that line, or is a solution marker.
    """
    lines = source.split("\n")
    match = WRITTEN.match(lines[0])
    for number, line in enumerate(lines):
        _refuse_lookalike(line, "", number, location)
        if _LIKE_WRITTEN.match(line) and not (number == 0 and match):
            raise location.error(number, "a written slot starts with the line `<!-- WRITTEN W1 · question -->`")
    return (match[1], match[2]) if match else None


def claims_of(source: str, location: Location, *, markdown: bool) -> list[tuple[str, int]]:
    """Return (id, 0-based line) of every claim that is marked in a cell. markdown: whether it is a markdown cell.

    Raises:
        SourceError: a text almost matches a mark, or a mark stands in a code cell.
    """
    found = [
        (id_, source.count("\n", 0, match.start())) for match in CLAIM.finditer(source) for id_ in match[1].split()
    ]
    rest = CLAIM.sub(lambda match: "\n" * match[0].count("\n"), source)
    if strange := _LIKE_CLAIM.search(rest):
        line = rest.count("\n", 0, strange.start())
        raise location.error(line, "looks like the mark of a claim but is not one; write `<!-- CLAIM an_id -->`")
    if found and not markdown:
        raise location.error(found[0][1], "a claim is marked in a markdown cell, before its sentence")
    return found


def without_claims(source: str) -> str:
    """Return the text without the marks of claims. A mark takes the blank or line end after it along."""
    return CLAIM.sub("", source)
