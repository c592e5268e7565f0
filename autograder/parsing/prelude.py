"""Build the prelude: the imports, helper functions and constants of the notebook that the answers need.

Of the statements that define something (definitions.py), it takes those that the answers use, directly or through each
other. The worker runs the prelude before every call. Runs in the limited child process.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from autograder.parsing.answers.names import needed_names, stored_names
from autograder.parsing.definitions import DEFINITION, IMPORT, KeptStatement, NotebookNames, keep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from autograder.parsing.answers.statements import Piece

# Functions that look names up by text. An answer that uses one gets the whole prelude.
DYNAMIC = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__"})
PROVIDED = frozenset({"get_ipython", "grader", "display"})  # the worker defines these


def build_prelude(
    pieces: Sequence[Piece], answers: Mapping[str, str], slots: Sequence[Mapping[str, str]]
) -> tuple[str, list[str]]:
    """Return the prelude's source, and notes on names that answers use and only cells set that are not run.

    answers: slot id -> source of each attempted slot. slots: {"id", "name"} of all slots.
    """
    names = {slot["name"] for slot in slots}
    rest = [piece for piece in pieces if piece.node is not None and piece.name not in names]
    known = NotebookNames.of(rest)
    kept = [entry for piece in rest if (entry := keep(piece, known)) is not None]
    uses = {slot: needed_names(source, ast.parse(source), known.definitions) for slot, source in answers.items()}
    needed = _closure(kept, frozenset().union(*uses.values()))
    bound: frozenset[str] = frozenset().union(*(entry.binds for entry in kept))
    return _text(needed), list(_notes(rest, uses, needed, bound | names))


def _text(entries: Sequence[KeptStatement]) -> str:
    """Join the statements: `__future__` imports first, as Python requires, and each repeated import once."""
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


def _closure(kept: Sequence[KeptStatement], wanted: frozenset[str]) -> list[KeptStatement]:
    """Return the statements that bind a wanted name or a name that such statements use in turn."""
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
    pieces: Sequence[Piece], uses: Mapping[str, frozenset[str]], needed: Sequence[KeptStatement], bound: frozenset[str]
) -> Iterator[str]:
    """Note the names that are set only by statements that are not run while grading, which will raise NameError."""
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
