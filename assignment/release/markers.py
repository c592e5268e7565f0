"""Slot markers: what they look like, and the near-misses that are refused.

A slot is one code cell::

    # TODO T07 · one-line task                 first line of the cell
    def bradley_terry_loss(...) -> ...:
        ...                                    signature, docstring, scaffolding: kept
        # BEGIN SOLUTION T07                   full-line comment, indented like the code it encloses
        ...                                    removed from the student's notebook
        # END SOLUTION

Matching is exact. Whatever looks like a marker and is none is an error, because a tool that
skips it would leave the answer in the student's copy.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assignment.registry.tables import SLOT_ID, WRITTEN_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

TODO = re.compile(rf"^# TODO ({SLOT_ID}) · (\S(?:.*\S)?)$")
BEGIN = re.compile(rf"^( *)# BEGIN SOLUTION ({SLOT_ID})$")
END = re.compile(r"^( *)# END SOLUTION$")
WRITTEN = re.compile(rf"^<!-- WRITTEN ({WRITTEN_ID}) · (\S(?:.*\S)?) -->$")

# What a tired author writes instead.
_LIKE_REGION = re.compile(r"(?i)^#+[\W_]*(?:(?:begin|end|start|stop)[\W_]*)?solutions?\b")
_LIKE_REGION_ANYWHERE = re.compile(r"(?i)\b(?:begin|end)[\W_]*solution")
_LIKE_TODO = re.compile(r"(?i)^#+\s*to[\s_-]*do\b\W*[a-z]\W?\d")
_LIKE_WRITTEN = re.compile(r"(?i)^\s*<!--\s*written\b")
_HELPER = re.compile(r"(?:async def|def|class) |@")


class SourceError(ValueError):
    """A part of the reference solution cannot be built; the message starts with file:line."""


@dataclass(frozen=True)
class Region:
    """A solution region: 0-based line numbers of its two marker lines, and their indent."""

    slot: str
    begin: int
    end: int
    indent: str


@dataclass(frozen=True)
class Place:
    """Where a cell begins, so that an error can name the line in the part file."""

    file: str
    line: int  # 1-based

    def error(self, offset: int, message: str) -> SourceError:
        """The error for the cell's line `offset` (0-based)."""
        return SourceError(f"{self.file}:{self.line + offset}: {message}")


def comments(source: str) -> Iterator[tuple[int, int, str]]:
    """(0-based line, column, text) of every comment token of code that parses."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0] - 1, token.start[1], token.string


def parse(source: str, place: Place) -> ast.Module:
    """The cell's syntax tree.

    Raises:
        SourceError: the code does not parse.
    """
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise place.error((error.lineno or 1) - 1, f"does not parse: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, brackets nested too deep
        raise place.error(0, f"does not parse: {error or 'too complex'}") from error


def slot_of(source: str, place: Place) -> tuple[str, str] | None:
    """(slot id, task) from a code cell's first line, or None where the cell is no slot.

    Raises:
        SourceError: a line that looks like a slot's first line and is none, or stands elsewhere.
    """
    lines = source.split("\n")
    match = TODO.match(lines[0])
    for line, _, text in comments(source):
        if _LIKE_TODO.match(text) and not (line == 0 and match):
            why = "must be the cell's first line" if TODO.match(lines[line]) else "is not a slot's first line"
            raise place.error(line, f"{text!r} {why}; write `# TODO T07 · one-line task` as the first line")
    return (match[1], match[2]) if match else None


def region_of(source: str, place: Place) -> Region | None:
    """The one solution region of a code cell, or None where it has none.

    Raises:
        SourceError: near-miss, nested, unclosed, unopened, second or empty region, wrong indent.
    """
    lines, comment_lines = source.split("\n"), {line: text for line, _, text in comments(source)}
    region: Region | None = None
    opened: re.Match[str] | None = None
    at = 0
    for number, line in enumerate(lines):
        begin, end = BEGIN.match(line), END.match(line)
        if number not in comment_lines or not (begin or end):
            _refuse_near_miss(line, comment_lines.get(number, ""), number, place)
        elif begin:
            if opened:
                raise place.error(number, f"nested: the region of line {place.line + at} is still open")
            if region:
                raise place.error(number, "a second solution region in one cell; a slot has one")
            opened, at = begin, number
        elif end:
            if not opened:
                raise place.error(number, "END SOLUTION without a BEGIN SOLUTION above it")
            if end[1] != opened[1]:
                raise place.error(number, "END SOLUTION is not indented like its BEGIN SOLUTION")
            region = Region(opened[2], at, number, opened[1])
            _check_body(lines, region, place)
            opened = None
    if opened:
        raise place.error(at, f"BEGIN SOLUTION {opened[2]} is never closed: `# END SOLUTION` is missing")
    return region


def _refuse_near_miss(line: str, comment: str, number: int, place: Place) -> None:
    """A line that is no marker must not look like one, neither as a comment nor inside a string."""
    if _LIKE_REGION.match(comment) or _LIKE_REGION_ANYWHERE.search(line):
        raise place.error(
            number,
            f"{line.strip()!r} looks like a solution marker and is none; markers are full lines, exactly "
            "`# BEGIN SOLUTION T07` and `# END SOLUTION`",
        )


def _check_body(lines: list[str], region: Region, place: Place) -> None:
    """The enclosed lines are code, and start at the markers' own indent."""
    body = lines[region.begin + 1 : region.end]
    code = [line for line in body if line.strip() and not line.lstrip().startswith("#")]
    if not code:
        raise place.error(region.begin, f"the solution region of {region.slot} is empty")
    for offset, line in enumerate(body, start=1):
        if _HELPER.match(line):
            break  # functions that serve the solution may follow it, at the module's level (T14, T15)
        if line.strip() and not line.startswith(region.indent):
            raise place.error(region.begin + offset, "this line is indented less than the region's markers")
    if code[0][len(region.indent)].isspace():
        raise place.error(region.begin, "the region's markers are not indented like the code they enclose")


def written_of(source: str, place: Place) -> tuple[str, str] | None:
    """(id, question) from a markdown cell's first line `<!-- WRITTEN W1 · question -->`, or None.

    Raises:
        SourceError: a near-miss, or a solution marker in prose.
    """
    lines = source.split("\n")
    match = WRITTEN.match(lines[0])
    for number, line in enumerate(lines):
        _refuse_near_miss(line, "", number, place)
        if _LIKE_WRITTEN.match(line) and not (number == 0 and match):
            raise place.error(number, "a written slot starts with the line `<!-- WRITTEN W1 · question -->`")
    return (match[1], match[2]) if match else None
