"""Find the answer to each slot among the top-level statements. Runs in the limited child process (limited.py).

A slot's answer is the last definition of its name that is not the template's placeholder. The notebook uses the same
one when it is run from top to bottom. The slot id in a cell's comment only serves to explain why a name is not found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autograder.parsing.ipython import compile_error
from autograder.parsing.names import global_names
from autograder.parsing.statements import Piece, split

Slot = Mapping[str, str]  # {"id": "T07", "name": "bradley_terry_loss"}


def pieces_of(cells: Sequence[Mapping[str, Any]], slots: Sequence[Slot]) -> list[Piece]:
    """Split all code cells into top-level statements, in the notebook's order."""
    ids = [slot["id"] for slot in slots]
    code = [cell for cell in cells if cell["kind"] == "code"]
    return [piece for cell in code for piece in split(cell["index"], cell["source"], ids)]


def count_slots(cells: Sequence[Mapping[str, Any]], slots: Sequence[Slot]) -> tuple[int, int]:
    """Return the numbers of slots attempted and of slots found, by which the notebook to grade is chosen."""
    answers = find_answers(pieces_of(cells, slots), slots)[0]
    states = [answer["state"] for answer in answers.values()]
    return sum(s in ("present", "broken") for s in states), sum(s != "missing" for s in states)


def find_answers(pieces: Sequence[Piece], slots: Sequence[Slot]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return {slot id: {"slot", "state", "source", "cell", "problem"}} for every slot, and notes for the report."""
    notes: list[str] = []
    names = {slot["name"] for slot in slots}
    functions = {piece.name for piece in pieces if piece.is_definition}
    found: dict[str, dict[str, Any]] = {}
    for slot in slots:
        candidates = [_classify(piece, slot) for piece in pieces if _answers(piece, slot, names, functions)]
        ranked = sorted(candidates, key=lambda answer: _RANK[answer["state"]])  # stable: of equals, the last stays last
        found[slot["id"]] = ranked[-1] if ranked else _missing(pieces, slot, names)
        cells = [answer["cell"] + 1 for answer in candidates if answer["state"] == "present"]
        if len(cells) > 1:
            notes.append(
                f"{slot['id']} is answered in cells {', '.join(map(str, cells[:-1]))} and {cells[-1]}; "
                f"the last one was graded.{_earlier(pieces, slot, found[slot['id']]['source'])}"
            )
    return found, notes


def _earlier(pieces: Sequence[Piece], slot: Slot, source: str) -> str:
    """Explain what to do about an answer that calls an earlier one, which `old = gae` kept in the notebook."""
    kept = {
        piece.name for piece in pieces
        if isinstance(piece.node, ast.Assign) and isinstance(piece.node.value, ast.Name)
        and piece.node.value.id == slot["name"]
    }  # fmt: skip
    called = sorted(kept & global_names(source))
    if not called:
        return ""
    return (
        f" It calls an earlier one as `{_short(called[0])}`, which is not there while grading, where a name has one "
        "definition. Give the earlier one a name of its own with `def`, or write everything in one function."
    )


_RANK = {"missing": 0, "blank": 1, "broken": 2, "present": 3}


def _answers(piece: Piece, slot: Slot, names: set[str], functions: set[str]) -> bool:
    """Say whether the piece defines the slot's name, or is text under the slot's marker that does not parse."""
    if piece.name == slot["name"]:
        return piece.is_definition or _is_alias(piece.node, functions)
    return piece.node is None and piece.marker == slot["id"] and piece.name not in names


def _is_alias(node: ast.stmt | None, functions: set[str]) -> bool:
    """Say whether this names a function: `gae = my_gae`, `gae = partial(my_gae, …)`, `gae = lambda …`."""
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in ("partial", "compile", "lru_cache", "wraps")
    return isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in functions)


def _classify(piece: Piece, slot: Slot) -> dict[str, Any]:
    if piece.node is None:
        return _answer(piece, slot, "broken", _broken(piece, slot, piece.error))
    if isinstance(piece.node, ast.ClassDef) and not _may_forward(piece.node):
        return _answer(
            piece,
            slot,
            "missing",
            f"The class {slot['name']} (cell {piece.cell + 1}) has no method `forward`. Write {slot['id']} in it.",
        )
    if is_blank(piece.node, slot["id"]):
        return _answer(piece, slot, "blank")
    reason = compile_error("\n" * (piece.line - 1) + piece.text)
    if reason:
        return _answer(piece, slot, "broken", _broken(piece, slot, reason))
    return _answer(piece, slot, "present")


def _answer(piece: Piece, slot: Slot, state: str, problem: str = "") -> dict[str, Any]:
    source = piece.text.strip("\n") + "\n"
    return {"slot": slot["id"], "state": state, "source": source, "cell": piece.cell, "problem": problem}


def _broken(piece: Piece, slot: Slot, reason: str) -> str:
    return (
        f"The code of {slot['id']} (cell {piece.cell + 1}) is not valid Python and cannot be run: {reason}. "
        "Run the cell in the notebook to see the place."
    )


def _missing(pieces: Sequence[Piece], slot: Slot, names: set[str]) -> dict[str, Any]:
    """Describe a slot whose name is not defined, with the name that its cell defines instead, if there is one."""
    others = [
        piece for piece in pieces if piece.marker == slot["id"] and piece.is_definition and piece.name not in names
    ]
    if others:
        shown = " and ".join(f"`{_short(piece.name)}`" for piece in others[:3])
        problem = (
            f"The cell of {slot['id']} (cell {others[0].cell + 1}) defines {shown}, "
            f"but the grader calls `{slot['name']}`. Give it that name again."
        )
    else:
        problem = (
            f"No cell defines `{slot['name']}` ({slot['id']}). Copy that cell from the handout's notebook "
            "and answer it."
        )
    cell = others[0].cell if others else None
    return {"slot": slot["id"], "state": "missing", "source": "", "cell": cell, "problem": problem}


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"


def is_blank(node: ast.stmt, slot_id: str) -> bool:
    """Say whether a definition is still the template's: its placeholder is reached, or it holds no code."""
    if isinstance(node, ast.ClassDef):
        named = [item for item in node.body if getattr(item, "name", "") == "forward"]
        return bool(named) and is_blank(named[-1], slot_id)
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    code = [statement for statement in node.body if not _is_empty(statement)]
    return not code or any(_is_placeholder(statement, slot_id) for statement in _straight_path(code))


def _straight_path(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements on the way through a body up to the first return or raise.

    Loops and with-blocks are entered, because given code may enclose the placeholder; the branches of `if` are not.
    """
    for statement in body:
        yield statement
        if isinstance(statement, (ast.For, ast.While, ast.With)):
            yield from _straight_path(statement.body)
        if isinstance(statement, (ast.Return, ast.Raise)):
            return


def _is_placeholder(statement: ast.stmt, slot_id: str) -> bool:
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    call = statement.exc
    name = call.func if isinstance(call, ast.Call) else call
    if not (isinstance(name, ast.Name) and name.id == "NotImplementedError"):
        return False
    text = call.args[0] if isinstance(call, ast.Call) and call.args else None
    return not isinstance(text, ast.Constant) or str(text.value).startswith((slot_id, "TODO"))


def _is_empty(statement: ast.stmt) -> bool:
    """Say whether this is a docstring, `...` or `pass`."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _may_forward(node: ast.ClassDef) -> bool:
    """Say whether the class has a `forward`: a method, an assignment, or one inherited from a student's class."""
    for item in node.body:
        targets = item.targets if isinstance(item, ast.Assign) else []
        names = [getattr(item, "name", ""), *(getattr(target, "id", "") for target in targets)]
        if "forward" in names:
            return True
    return any(ast.unparse(base).rpartition(".")[2] != "RewardModelBase" for base in node.bases)
