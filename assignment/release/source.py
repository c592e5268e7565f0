"""Read the reference solution, ``solutions/p1_*.py … p9_*.py`` in the py:percent format, into frozen Cells.

The grader reads the source of single slots here, to replace slots that a student got wrong.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assignment.release.markers import Location, SourceError, parse, region_of, slot_of, written_of
from assignment.release.reading import read_text, refuse_strays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from assignment.registry import Spec

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"

# comment_magics=False: else jupytext turns a comment such as `# %matplotlib` or `# !pip` into a magic command.
_FORMAT: dict[str, Any] = {"extension": ".py", "format_name": "percent", "comment_magics": False}
# The title of `# %% A title`, and jupytext's count of blank lines.
_IGNORED_OPTIONS = ("title", "lines_to_next_cell")


@dataclass(frozen=True)
class Cell:
    """One cell. slot, written: ids read from its first line. id: set by a pass, because jupytext's ids are random."""

    kind: Literal["code", "markdown"]
    source: str
    location: Location
    slot: str | None = None
    written: str | None = None
    id: str = ""


def read_part(path: Path) -> tuple[Cell, ...]:
    """Read the cells of one part file, in order.

    Raises:
        SourceError: the file cannot be read, or one of its cells cannot become a cell of the notebook.
    """
    import jupytext  # takes half a second, and grading needs it only where a slot failed

    text = read_text(path)
    lines, cursor, cells = text.splitlines(), 0, []
    try:
        raw_cells = jupytext.reads(text, fmt=_FORMAT).cells
    except Exception as error:  # jupytext reads a coding line or YAML as a header
        raise Location(path.name, 1).error(0, f"jupytext cannot read this file's header ({error})") from error
    for raw in raw_cells:
        source = raw.source.rstrip()
        if not source:
            continue
        start, cursor = _locate(lines, source, raw.cell_type, cursor)
        location = Location(path.name, start + 1)
        options = {key: value for key, value in raw.metadata.items() if key not in _IGNORED_OPTIONS}
        if options:
            raise location.error(0, f"cell options are not supported: {options}")
        cells.append(_cell(raw.cell_type, source, location))
    return tuple(cells)


def _locate(lines: list[str], source: str, kind: str, cursor: int) -> tuple[int, int]:
    """Find (first line, line after the last) of a cell in its file, which jupytext does not report."""
    wanted = source.split("\n")
    if kind == "markdown":
        wanted = [f"# {line}".rstrip() for line in wanted]
    for start in range(cursor, len(lines) - len(wanted) + 1):
        if [line.rstrip() for line in lines[start : start + len(wanted)]] == [w.rstrip() for w in wanted]:
            return start, start + len(wanted)
    return cursor, cursor  # markdown in a docstring: for an error message the nearest line will do


def _cell(kind: str, source: str, location: Location) -> Cell:
    if kind == "markdown":
        written = written_of(source, location)
        return Cell("markdown", source, location, written=written[0] if written else None)
    if kind != "code":
        raise location.error(0, f"cells of kind {kind!r} are not supported; use `# %%` or `# %% [markdown]`")
    parse(source, location)
    slot, region = slot_of(source, location), region_of(source, location)
    if slot and not region:
        raise location.error(0, f"slot {slot[0]} has no region `# BEGIN SOLUTION {slot[0]}` … `# END SOLUTION`")
    if region and not slot:
        raise location.error(region.begin, "a solution region in a cell whose first line is no `# TODO Txx · …`")
    if slot and region and slot[0] != region.slot:
        raise location.error(region.begin, f"BEGIN SOLUTION {region.slot} in the cell of slot {slot[0]}")
    return Cell("code", source, location, slot=slot[0] if slot else None)


def load_parts(spec: Spec, directory: Path = SOLUTIONS) -> tuple[Cell, ...]:
    """Read the cells of all parts in order, and check them against the registry.

    Raises:
        SourceError: a part is missing, or the cells and the registry differ.
    """
    paths = _parts(directory)
    _check_files(directory, [path.name for path in paths], spec)
    cells = tuple(cell for path in paths for cell in read_part(path))
    for cell in cells:
        _check_cell(cell, spec)
    _check_complete("slot", {c.location: c.slot for c in cells if c.slot}, [s.id for s in spec.slots])
    _check_complete("written question", {c.location: c.written for c in cells if c.written}, list(spec.written))
    return cells


def _check_files(directory: Path, parts: Sequence[str], spec: Spec) -> None:
    """Check that each part is one file, that the files of all slots exist, and that no other file would be ignored."""
    expected = {*parts, "__init__.py"}
    refuse_strays(directory, expected.__contains__, "is no part: parts are called p1_name.py to p9_name.py")
    for one, other in pairwise(parts):
        if one[:2] == other[:2]:
            raise SourceError(f"{directory}: {one} and {other} are both part {one[1]}; keep one of them")
    missing = sorted({slot.file for slot in spec.slots} - set(parts))
    if missing:
        raise SourceError(f"{directory}: missing {', '.join(missing)} (named in assignment.toml); restore the file")


def _check_cell(cell: Cell, spec: Spec) -> None:
    """Check that a slot's cell is in its file, has its title and defines its name, and that a question has its text."""
    if cell.written and cell.written in spec.written:
        _, question = written_of(cell.source, cell.location) or ("", "")
        _check_text(cell, question, spec.written[cell.written])
    if not cell.slot:
        return
    if cell.slot not in {slot.id for slot in spec.slots}:
        raise cell.location.error(0, f"slot {cell.slot} is not in assignment.toml")
    slot = spec.slot(cell.slot)
    if cell.location.file != slot.file:
        raise cell.location.error(0, f"slot {slot.id} belongs in {slot.file}")
    _, task = slot_of(cell.source, cell.location) or ("", "")
    _check_text(cell, task, slot.title)
    if slot.name not in defined_names(parse(cell.source, cell.location).body):
        raise cell.location.error(0, f"slot {slot.id} must define {slot.name}")


def _check_text(cell: Cell, found: str, registered: str) -> None:
    if found != registered:
        raise cell.location.error(0, f"says {found!r}, assignment.toml says {registered!r}; make them agree")


def _check_complete(what: str, found: Mapping[Location, str], expected: Sequence[str]) -> None:
    """Check that each expected id was found, and found once. what: what the ids stand for."""
    first: dict[str, Location] = {}
    for location, entry in found.items():
        if entry in first:
            raise location.error(0, f"{what} {entry} is already in {first[entry].file}:{first[entry].line}; keep one")
        if entry not in expected:
            raise location.error(0, f"{what} {entry} is not in assignment.toml")
        first[entry] = location
    missing = [entry for entry in expected if entry not in first]
    if missing:
        raise SourceError(f"{what} {', '.join(missing)} is in assignment.toml but in no part")


def defined_names(statements: Iterable[ast.stmt]) -> set[str]:
    """Return the names that these statements bind: definitions, imports, assignments."""
    names: set[str] = set()
    for statement in statements:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        else:
            walked = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
            names |= {node.id for node in walked if isinstance(node.ctx, ast.Store)}
    return names


def is_internal_import(node: ast.AST) -> bool:
    """Return whether a statement imports another part of the solution, which a notebook does not need."""
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] == "solutions"
    return isinstance(node, ast.Import) and any(a.name.split(".")[0] == "solutions" for a in node.names)


def is_main_guard(node: ast.AST) -> bool:
    """Return whether a statement is `if __name__ == "__main__":`, whose code runs in the notebook but not on import."""
    return isinstance(node, ast.If) and ast.unparse(node.test).replace('"', "'") == "__name__ == '__main__'"


@lru_cache(maxsize=4)
def _cells(directory: Path) -> tuple[Cell, ...]:
    """Read the cells of all parts, without the checks of `load_parts`, which the grader does not need."""
    return tuple(cell for path in _parts(directory) for cell in read_part(path))


def _parts(directory: Path) -> list[Path]:
    return sorted(directory.glob("[a-z][0-9]_*.py"))


def reference_source(slot: str, directory: Path = SOLUTIONS) -> str:
    """Return the solved cell of one slot, without its marker lines. KeyError for an unknown slot."""
    cells = {cell.slot: cell for cell in _cells(directory) if cell.slot}
    return without_markers(cells[slot])


def without_markers(cell: Cell) -> str:
    """Return a slot cell's source with its solution and without its marker lines."""
    region = region_of(cell.source, cell.location)
    lines = cell.source.split("\n")
    if region is None:
        return cell.source
    return "\n".join(line for number, line in enumerate(lines) if number not in (region.begin, region.end))


def reference_prelude(slots: Iterable[str], directory: Path = SOLUTIONS) -> str:
    """Return the module-level code that the reference of these slots needs: imports, constants and helpers, in order.

    Names are followed from the slots' cells through the top level of all parts. Other slots, which the grader adds
    one by one, and code under a main guard are left out.
    """
    cells = _cells(directory)
    wanted = set(slots)
    needed = {
        node.id for cell in cells if cell.slot in wanted
        for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)
    }  # fmt: skip
    statements = [
        s for cell in cells if cell.kind == "code" and not cell.slot for s in ast.parse(cell.source).body
        if not is_internal_import(s) and not is_main_guard(s)
    ]  # fmt: skip
    chosen: set[int] = set()
    for _ in statements:  # each round but the last adds at least one statement
        new = {i for i, s in enumerate(statements) if i not in chosen and defined_names([s]) & needed}
        if not new:
            break
        chosen |= new
        needed |= {n.id for i in new for n in ast.walk(statements[i]) if isinstance(n, ast.Name)}
    code = [_unparse(statements[i], needed) for i in sorted(chosen)]
    return "\n".join(dict.fromkeys(["from __future__ import annotations", *code])) + "\n"


def _unparse(statement: ast.stmt, needed: set[str]) -> str:
    """Return the statement's source; of an import only the names that are needed."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        names = [a for a in statement.names if (a.asname or a.name).split(".")[0] in needed]
        if isinstance(statement, ast.Import):
            return ast.unparse(ast.Import(names))
        return ast.unparse(ast.ImportFrom(statement.module, names, statement.level))
    return ast.unparse(statement)
