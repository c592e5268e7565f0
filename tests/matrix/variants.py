"""Right answers as different students write them: the whole catalogue as far as it applies. None may lose a point."""

from __future__ import annotations

import ast

from assignment.registry import load_spec
from tests.matrix.entries import Entry, solution_cells
from tests.matrix.variants_formulas import FORMULAS
from tests.matrix.variants_programs import PROGRAMS
from tests.support.slot_variants import VARIANTS
from tests.support.slot_variants_loops import LOOPS

# Alternatives of the catalogue in which no slot here can be written, and why.
NOT_APPLICABLE = {
    "C33 dataclass or tuple in place of a dict": "the handout asks for dicts, and later cells read them",
    "C35 AdamW without decay for Adam": "the configuration's weight decay is part of what is asked",
    "C39 reference loaded from a state dict": "the loop is given its frozen reference and builds none",
}


def variants() -> list[Entry]:
    """All variants. Their ids are the slot and the ids of the catalogue."""
    plain = [(slot, label, "", source) for slot, label, source in VARIANTS + LOOPS]
    return [
        Entry("variant", f"{slot} {label}", {slot: documented(slot, source)}, helpers=helpers)
        for slot, label, helpers, source in sorted([*plain, *FORMULAS, *PROGRAMS], key=lambda v: v[0])
    ]


def documented(slot: str, source: str) -> str:
    """Add the first line of the handout's docstring, which every student's cell has, unless the variant has its own."""
    name = load_spec().slot(slot).name
    mine, handout = (_definition(text, name) for text in (source, solution_cells()[slot]))
    if mine is None or handout is None or ast.get_docstring(mine):
        return source
    first, lines = mine.body[0], source.splitlines()
    text = (ast.get_docstring(handout) or "").splitlines()[0]
    lines.insert(first.lineno - 1, f'{" " * first.col_offset}"""{text}"""')
    return "\n".join(lines) + "\n"


def _definition(source: str, name: str) -> ast.FunctionDef | ast.ClassDef | None:
    """The last definition of that name."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return next((n for n in reversed(ast.parse(source).body) if isinstance(n, kinds) and n.name == name), None)
