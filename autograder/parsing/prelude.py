"""Top-level statements -> what the answers need: imports, helpers, constants. Pure; runs limited.

Of the statements that define something (extract_keep.py) only those go on that the answers use,
directly or through each other: the worker runs them before every call.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence

from autograder.parsing.definitions import DEFINITION, IMPORT, Kept, Known, keep
from autograder.parsing.names import needed_names, stored_names
from autograder.parsing.statements import Piece

# Names that reach the namespace by text: pruning could remove what they look for.
DYNAMIC = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__"})
PROVIDED = frozenset({"get_ipython", "grader", "display"})  # stood in for by the worker


def build_prelude(
    pieces: Sequence[Piece], answers: Mapping[str, str], slots: Sequence[Mapping[str, str]]
) -> tuple[str, list[str]]:
    """The prelude's source, and notes on names that answers use but cells set that are not run.

    answers: slot id -> source of the attempted ones. slots: {"id", "name"} of all.
    """
    names = {slot["name"] for slot in slots}
    rest = [piece for piece in pieces if piece.node is not None and piece.name not in names]
    known = Known.of(rest)
    kept = [entry for piece in rest if (entry := keep(piece, known)) is not None]
    uses = {
        slot: needed_names(source, ast.parse(source), known.definitions) for slot, source in answers.items()
    }
    needed = _closure(kept, frozenset().union(*uses.values()))
    bound: frozenset[str] = frozenset().union(*(entry.binds for entry in kept))
    return _text(needed), list(_notes(rest, uses, needed, bound | names))


def _text(entries: Sequence[Kept]) -> str:
    """One module text: `__future__` first, as Python wants it, and an import that cells repeat once."""
    imports: set[str] = set()
    first: list[str] = []
    rest: list[str] = []
    for entry in entries:
        if entry.text in imports:
            continue
        if entry.is_import:
            imports.add(entry.text)
        (first if entry.is_future else rest).append(entry.text)
    return "\n".join([*first, *rest]) + "\n" if first or rest else ""


def _closure(kept: Sequence[Kept], wanted: frozenset[str]) -> list[Kept]:
    """The entries that bind a wanted name, and what those use in turn."""
    if wanted & DYNAMIC:
        return list(kept)
    by_name: dict[str, list[int]] = {}
    for number, entry in enumerate(kept):
        for name in entry.binds:
            by_name.setdefault(name, []).append(number)
    taken = {number for number, entry in enumerate(kept) if entry.is_future or entry.is_star}
    open_names = [*wanted, *(name for number in taken for name in kept[number].uses)]
    seen: set[str] = set()
    while open_names:
        name = open_names.pop()
        if name in seen:
            continue
        seen.add(name)
        for number in by_name.get(name, ()):
            taken.add(number)
            open_names.extend(kept[number].uses)
    if seen & DYNAMIC:
        return list(kept)
    return [kept[number] for number in sorted(taken)]


def _notes(
    pieces: Sequence[Piece], uses: Mapping[str, frozenset[str]], needed: Sequence[Kept], bound: frozenset[str]
) -> Iterator[str]:
    """Names that only statements set which are not run while grading: a NameError is to be expected."""
    dropped: dict[str, int] = {}
    for piece in pieces:
        if piece.node is not None and not isinstance(piece.node, (*DEFINITION, *IMPORT)):
            dropped |= dict.fromkeys(stored_names(piece.node), piece.cell)
    lost = {name for name in dropped if name not in bound | PROVIDED and not hasattr(builtins, name)}
    helpers = frozenset[str]().union(*(entry.uses for entry in needed))
    for where, looked_up in {**uses, "A helper function": helpers}.items():
        for name in sorted(looked_up & lost):
            yield (
                f"{where} uses `{name[:40]}`, which cell {dropped[name] + 1} sets by code that is not run "
                "while grading. Use the function's arguments, or make it a constant."
            )
