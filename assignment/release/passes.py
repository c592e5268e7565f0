"""From the parts' cells to a notebook's cells: small pure passes, and PIPELINE, their order.

A pass takes the cells and the build's options and returns new cells. The student's and the
solved notebook come from the same cells and differ by one flag, ``Options.solved``.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assignment.release.markers import Place, parse, region_of
from assignment.release.source import Cell, defined_names, is_internal_import, is_main_guard, without_markers

if TYPE_CHECKING:
    from assignment.registry import Spec


@dataclass(frozen=True)
class Options:
    """What a build wants: the registry, and whether the solutions stay in."""

    spec: Spec
    solved: bool


Cells = tuple[Cell, ...]
Pass = Callable[[Cells, Options], Cells]


def refuse_redefinitions(cells: Cells, options: Options) -> Cells:
    """A function or class defined in two cells would silently replace the first in the notebook."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        for node in parse(cell.source, cell.place).body if cell.kind == "code" else ():
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if node.name in seen:
                first = f"{seen[node.name].place.file}:{seen[node.name].place.line}"
                raise cell.place.error(node.lineno - 1, f"{node.name} is already defined in {first}")
            seen[node.name] = cell
    return cells


def drop_module_docstrings(cells: Cells, options: Options) -> Cells:
    """A part file's docstring speaks to who edits the part, not to the student."""
    kept: list[Cell] = []
    for cell in cells:
        opens_part = not kept or kept[-1].place.file != cell.place.file
        first = parse(cell.source, cell.place).body[:1] if opens_part and cell.kind == "code" else []
        kept.append(without_lines(cell, [node for node in first if _is_docstring(node)]))
    return tuple(kept)


def _is_docstring(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def dedent_main_guards(cells: Cells, options: Options) -> Cells:
    """The body of a top-level `if __name__ == "__main__":` becomes ordinary notebook code."""
    return tuple(_dedent_guards(cell) if cell.kind == "code" else cell for cell in cells)


def _dedent_guards(cell: Cell) -> Cell:
    lines = cell.source.split("\n")
    guards = [node for node in parse(cell.source, cell.place).body if is_main_guard(node)]
    inside_string = _string_continuations(cell.source)
    for guard in reversed(guards):
        assert isinstance(guard, ast.If)
        if guard.orelse:
            raise cell.place.error(guard.lineno - 1, "a main guard with an else cannot become notebook code")
        width = guard.body[0].col_offset
        end = guard.end_lineno or guard.lineno
        while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" " * width)):
            end += 1  # comments after the last statement belong to the guard too
        # Lines inside a triple-quoted string keep their indent: it is part of the string's value.
        body = [
            line if number in inside_string else (line[width:] if line[:width].isspace() else line.lstrip())
            for number, line in enumerate(lines[guard.lineno : end], start=guard.lineno)
        ]
        lines[guard.lineno - 1 : end] = body
    return replace(cell, source="\n".join(lines).strip("\n")) if guards else cell


def _string_continuations(source: str) -> set[int]:
    """0-based numbers of the lines that begin inside a multi-line string."""
    inside: set[int] = set()
    f_strings: list[int] = []  # from Python 3.12 on an f-string is a run of tokens, not one
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            f_strings.append(token.start[0])
        elif name == "STRING" or name == "FSTRING_END":
            first = f_strings.pop() if name == "FSTRING_END" else token.start[0]
            inside |= set(range(first, token.end[0]))
    return inside


def drop_internal_imports(cells: Cells, options: Options) -> Cells:
    """`from solutions.p2_data import …` is needed between part files; a notebook has one namespace."""
    return tuple(_drop_imports(cell) if cell.kind == "code" else cell for cell in cells)


def _drop_imports(cell: Cell) -> Cell:
    tree = parse(cell.source, cell.place)
    doomed = [node for node in tree.body if is_internal_import(node)]
    nested = [node for node in ast.walk(tree) if is_internal_import(node) and node not in doomed]
    if nested:
        line = getattr(nested[0], "lineno", 1) - 1
        raise cell.place.error(line, "an import between parts must stand at the top level or in a main guard")
    return without_lines(cell, doomed)


def without_lines(cell: Cell, nodes: list[ast.stmt]) -> Cell:
    """The cell without the lines of these statements."""
    gone = {n for node in nodes for n in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    if not gone:
        return cell
    lines = [line for number, line in enumerate(cell.source.split("\n"), start=1) if number not in gone]
    return replace(cell, source=re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n"))


_TOOL_COMMENT = re.compile(r"\s*#\s*(?:noqa|type:\s*ignore|fmt:|pragma:|mypy:|ruff:).*$")


def drop_tool_comments(cells: Cells, options: Options) -> Cells:
    """`# noqa`, `# type: ignore` and the like talk to our tools."""
    return tuple(_drop_tool_comments(cell) if cell.kind == "code" else cell for cell in cells)


def _drop_tool_comments(cell: Cell) -> Cell:
    lines = cell.source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(cell.source).readline):
        if token.type == tokenize.COMMENT and _TOOL_COMMENT.fullmatch(token.string):
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]].rstrip()
    return replace(cell, source="\n".join(lines).strip("\n"))


def drop_empty_cells(cells: Cells, options: Options) -> Cells:
    """Cells of which nothing but blank lines is left."""
    return tuple(cell for cell in cells if cell.source.strip())


def resolve_solutions(cells: Cells, options: Options) -> Cells:
    """Solved: only the marker lines go. Student: the region becomes a NotImplementedError."""
    resolve = without_markers if options.solved else (lambda cell: blank(cell, options.spec))
    return tuple(replace(cell, source=resolve(cell)) if cell.slot else cell for cell in cells)


def blank(cell: Cell, spec: Spec) -> str:
    """A slot cell's source with `raise NotImplementedError("T07: …")` in the place of its solution."""
    region = region_of(cell.source, cell.place)
    assert region is not None, "load_parts lets no slot without a region through"
    lines = cell.source.split("\n")
    message = json.dumps(f"{region.slot}: {spec.slot(region.slot).title}", ensure_ascii=False)
    lines[region.begin : region.end + 1] = [f"{region.indent}raise NotImplementedError({message})"]
    source = "\n".join(lines)
    tree = parse(source, cell.place)  # a region that was half a statement leaves code that does not parse
    if spec.slot(region.slot).name not in defined_names(tree.body):
        raise cell.place.error(region.begin, f"the region of {region.slot} swallows the slot's own signature")
    return source


def insert_checks(cells: Cells, options: Options) -> Cells:
    """After each slot a cell that runs its public check."""
    out: list[Cell] = []
    for cell in cells:
        out.append(cell)
        if cell.slot:
            out.append(Cell("code", f'grader.check("{cell.slot}")', Place(cell.place.file, cell.place.line)))
    return tuple(out)


def set_ids(cells: Cells, options: Options) -> Cells:
    """Ids that depend on content order alone: the slot, its check, or part and position in it."""
    seen: Counter[str] = Counter()
    out = []
    for before, cell in zip((None, *cells), cells):
        part = cell.place.file.split("_")[0]
        seen[part] += 1
        check = before is not None and before.slot and cell.source.startswith("grader.check(")
        name = cell.slot or (f"check-{before.slot}" if before and check else f"{part}-{seen[part]:03d}")
        out.append(replace(cell, id=name))
    return tuple(out)


PIPELINE: tuple[Pass, ...] = (
    refuse_redefinitions,  # first: errors name the line in the part file, which later passes move
    drop_module_docstrings,  # before empty cells go: a cell may hold nothing else
    dedent_main_guards,  # before imports go: a guard with imports alone would not parse without them
    drop_internal_imports,
    drop_tool_comments,  # before empty cells go: a cell may consist of one such comment
    resolve_solutions,  # after every pass that parses slots with their markers in place
    drop_empty_cells,  # after all passes that remove lines
    insert_checks,  # after empty cells went, so that slot and check stay neighbours
    set_ids,  # last: an id depends on the cells that are left, and on their order
)


def run(cells: Cells, options: Options, passes: tuple[Pass, ...] = PIPELINE) -> Cells:
    """Apply the passes in order."""
    for step in passes:
        cells = step(cells, options)
    return cells
