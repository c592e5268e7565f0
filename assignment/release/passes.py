"""Transform the cells of the parts into the cells of a notebook, in the small pure passes of PIPELINE.

A pass takes the cells and the build's options and returns new cells. The student's and the
solved notebook are made from the same cells; only ``BuildOptions.solved`` differs.
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

from assignment.release.markers import Location, claims_of, parse, region_of, without_claims
from assignment.release.registry_text import with_facts, with_registry
from assignment.release.source import Cell, defined_names, is_internal_import, is_main_guard, without_markers

if TYPE_CHECKING:
    from assignment.registry import Spec


@dataclass(frozen=True)
class BuildOptions:
    """The options of a build. solved: keep the solutions."""

    spec: Spec
    solved: bool


Cells = tuple[Cell, ...]
Pass = Callable[[Cells, BuildOptions], Cells]


def refuse_redefinitions(cells: Cells, options: BuildOptions) -> Cells:
    """Raise a SourceError if two cells define the same name: the second would silently replace the first."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        for node in parse(cell.source, cell.location).body if cell.kind == "code" else ():
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if node.name in seen:
                first = f"{seen[node.name].location.file}:{seen[node.name].location.line}"
                raise cell.location.error(node.lineno - 1, f"{node.name} is already defined in {first}")
            seen[node.name] = cell
    return cells


def drop_module_docstrings(cells: Cells, options: BuildOptions) -> Cells:
    """Remove the docstrings of the part files, which are for editors of the parts."""
    kept: list[Cell] = []
    for cell in cells:
        opens_part = not kept or kept[-1].location.file != cell.location.file
        first = parse(cell.source, cell.location).body[:1] if opens_part and cell.kind == "code" else []
        kept.append(without_statements(cell, [node for node in first if _is_docstring(node)]))
    return tuple(kept)


def _is_docstring(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def drop_claim_marks(cells: Cells, options: BuildOptions) -> Cells:
    """Remove the marks `<!-- CLAIM id -->` from the text. Raise a SourceError where a text only looks like one."""
    return tuple(
        replace(cell, source=without_claims(cell.source))
        if claims_of(cell.source, cell.location, markdown=cell.kind == "markdown")
        else cell
        for cell in cells
    )


def insert_registry(cells: Cells, options: BuildOptions) -> Cells:
    """Write into the text what comes from the registry: tables, sentences, and a line under each slot's heading."""
    return tuple(
        with_facts(with_registry(cell, options.spec), options.spec) if cell.kind == "markdown" else cell
        for cell in cells
    )


def dedent_main_guards(cells: Cells, options: BuildOptions) -> Cells:
    """Replace every top-level `if __name__ == "__main__":` by its body."""
    return tuple(_dedent_guards(cell) if cell.kind == "code" else cell for cell in cells)


def _dedent_guards(cell: Cell) -> Cell:
    lines = cell.source.split("\n")
    guards = [node for node in parse(cell.source, cell.location).body if is_main_guard(node)]
    inside_string = _string_continuations(cell.source)
    for guard in reversed(guards):
        assert isinstance(guard, ast.If)
        if guard.orelse:
            raise cell.location.error(guard.lineno - 1, "a main guard with an else cannot become notebook code")
        width = guard.body[0].col_offset
        end = guard.end_lineno or guard.lineno
        while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" " * width)):
            end += 1  # comments after the last statement belong to the guard too
        # Lines inside a triple-quoted string keep their indent, which is part of the string's value.
        body = [
            line if number in inside_string else (line[width:] if line[:width].isspace() else line.lstrip())
            for number, line in enumerate(lines[guard.lineno : end], start=guard.lineno)
        ]
        lines[guard.lineno - 1 : end] = body
    return replace(cell, source="\n".join(lines).strip("\n")) if guards else cell


def _string_continuations(source: str) -> set[int]:
    """Return the 0-based numbers of the lines that begin inside a multi-line string."""
    inside: set[int] = set()
    f_strings: list[int] = []  # lines where one began: since Python 3.12 an f-string is several tokens
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            f_strings.append(token.start[0])
        elif name in ("STRING", "FSTRING_END"):
            first = f_strings.pop() if name == "FSTRING_END" else token.start[0]
            inside |= set(range(first, token.end[0]))
    return inside


def drop_internal_imports(cells: Cells, options: BuildOptions) -> Cells:
    """Remove imports such as `from solutions.p2_data import …`: in a notebook all parts share one namespace."""
    return tuple(_drop_imports(cell) if cell.kind == "code" else cell for cell in cells)


def _drop_imports(cell: Cell) -> Cell:
    tree = parse(cell.source, cell.location)
    doomed = [node for node in tree.body if is_internal_import(node)]
    nested = [node for node in ast.walk(tree) if is_internal_import(node) and node not in doomed]
    if nested:
        line = getattr(nested[0], "lineno", 1) - 1
        raise cell.location.error(line, "an import between parts must stand at the top level or in a main guard")
    return without_statements(cell, doomed)


def without_statements(cell: Cell, nodes: list[ast.stmt]) -> Cell:
    """Remove the lines of these statements from a cell."""
    gone = {n for node in nodes for n in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    if not gone:
        return cell
    lines = [line for number, line in enumerate(cell.source.split("\n"), start=1) if number not in gone]
    return replace(cell, source=re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n"))


_TOOL_COMMENT = re.compile(r"\s*#\s*(?:noqa|type:\s*ignore|fmt:|pragma:|mypy:|ruff:).*$")


def drop_tool_comments(cells: Cells, options: BuildOptions) -> Cells:
    """Remove comments for tools, such as `# noqa` and `# type: ignore`."""
    return tuple(_drop_tool_comments(cell) if cell.kind == "code" else cell for cell in cells)


def _drop_tool_comments(cell: Cell) -> Cell:
    lines = cell.source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(cell.source).readline):
        if token.type == tokenize.COMMENT and _TOOL_COMMENT.fullmatch(token.string):
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]].rstrip()
    return replace(cell, source="\n".join(lines).strip("\n"))


def drop_empty_cells(cells: Cells, options: BuildOptions) -> Cells:
    """Remove cells that hold nothing but blank lines."""
    return tuple(cell for cell in cells if cell.source.strip())


def resolve_solutions(cells: Cells, options: BuildOptions) -> Cells:
    """Remove the marker lines (solved), or replace each region by a NotImplementedError (student)."""
    resolve = without_markers if options.solved else (lambda cell: blank_slot(cell, options.spec))
    return tuple(replace(cell, source=resolve(cell)) if cell.slot else cell for cell in cells)


def blank_slot(cell: Cell, spec: Spec) -> str:
    """Return a slot cell's source with `raise NotImplementedError("T07: …")` instead of its solution."""
    region = region_of(cell.source, cell.location)
    assert region is not None, "load_parts refuses a slot without a region"
    lines = cell.source.split("\n")
    message = json.dumps(f"{region.slot}: {spec.slot(region.slot).title}", ensure_ascii=False)
    lines[region.begin : region.end + 1] = [f"{region.indent}raise NotImplementedError({message})"]
    source = "\n".join(lines)
    tree = parse(source, cell.location)  # does not parse if the region was half a statement
    if spec.slot(region.slot).name not in defined_names(tree.body):
        raise cell.location.error(region.begin, f"the region of {region.slot} swallows the slot's own signature")
    return source


def insert_checks(cells: Cells, options: BuildOptions) -> Cells:
    """Add a cell after each slot that runs its public check."""
    out: list[Cell] = []
    for cell in cells:
        out.append(cell)
        if cell.slot:
            out.append(Cell("code", f'grader.check("{cell.slot}")', Location(cell.location.file, cell.location.line)))
    return tuple(out)


def set_ids(cells: Cells, options: BuildOptions) -> Cells:
    """Set each cell's id: the slot, its check, or the part and the position in it. Ids depend on the order alone."""
    seen: Counter[str] = Counter()
    out = []
    for before, cell in zip((None, *cells), cells, strict=False):
        part = cell.location.file.split("_")[0]
        seen[part] += 1
        check = before is not None and before.slot and cell.source.startswith("grader.check(")
        name = cell.slot or (f"check-{before.slot}" if before and check else f"{part}-{seen[part]:03d}")
        out.append(replace(cell, id=name))
    return tuple(out)


PIPELINE: tuple[Pass, ...] = (
    refuse_redefinitions,  # first, because later passes move the lines that errors name
    drop_claim_marks,  # early too, for the same reason
    insert_registry,  # early, as above: it adds lines
    drop_module_docstrings,  # before drop_empty_cells: a cell may hold nothing else
    dedent_main_guards,  # before drop_internal_imports: a guard without its imports may not parse
    drop_internal_imports,
    drop_tool_comments,  # before drop_empty_cells: a cell may hold nothing else
    resolve_solutions,  # after the passes that parse slots with their markers
    drop_empty_cells,  # after all passes that remove lines
    insert_checks,  # after drop_empty_cells, so that slot and check stay neighbours
    set_ids,  # last, because ids depend on the cells that are left and on their order
)


def run_passes(cells: Cells, options: BuildOptions, passes: tuple[Pass, ...] = PIPELINE) -> Cells:
    """Apply the passes to the cells, in order."""
    for step in passes:
        cells = step(cells, options)
    return cells
