"""Find the answer to each slot in the cells of a notebook. Grader and export both ask `find_answers`.

A slot's answer is the last definition of its name that is not the template's placeholder. The notebook uses the same
one when it is run from top to bottom, unless a blank or broken copy stands below it, which a note names. The slot id in
a cell's comment only serves to explain why a name is not found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .blank import is_blank
from .ipython import compile_error
from .misplaced import find_misplaced
from .names import global_names
from .statements import Piece, split

Slot = Mapping[str, str]  # {"id": "T07", "name": "bradley_terry_loss"}
Answer = dict[str, Any]  # {"slot", "state", "source", "cell", "problem"}


class Found(NamedTuple):
    """What a notebook holds. answers: by slot id, for every slot. notes: what a person should know of them, in
    sentences. pieces: the top-level statements of all code cells."""

    answers: dict[str, Answer]
    notes: list[str]
    pieces: list[Piece]


def find_answers(cells: Sequence[Mapping[str, Any]], slots: Sequence[Slot]) -> Found:
    """Find the answer to every slot. cells: all cells of the notebook, as `read_notebook` returns them.

    An answer's state is "present" (attempted code), "blank" (the placeholder is still there), "broken" (no valid
    Python) or "missing" (no code cell defines it). A problem says what is wrong and, in its last sentence, what to do.
    """
    pieces = list(_pieces(cells, slots))
    names = {slot["name"] for slot in slots}
    functions = {piece.name for piece in pieces if piece.is_definition}
    found = Found({}, [], pieces)
    for slot in slots:
        candidates = [_classify(piece, slot) for piece in pieces if _answers(piece, slot, names, functions)]
        ranked = sorted(candidates, key=lambda answer: _RANK[answer["state"]])  # stable: of equals, the last stays last
        answer = ranked[-1] if ranked else _missing(pieces, slot, names)
        found.answers[slot["id"]] = _with_misplaced(answer, cells, slot)
        if answer["state"] == "present":
            found.notes.extend(_other_copies(candidates, answer, pieces, slot))
    return found


def count_slots(cells: Sequence[Mapping[str, Any]], slots: Sequence[Slot]) -> tuple[int, int]:
    """Return the numbers of slots attempted and of slots found, by which the notebook to grade is chosen."""
    states = [answer["state"] for answer in find_answers(cells, slots).answers.values()]
    return sum(s in ("present", "broken") for s in states), sum(s != "missing" for s in states)


def _pieces(cells: Sequence[Mapping[str, Any]], slots: Sequence[Slot]) -> Iterator[Piece]:
    """Yield the top-level statements of all code cells, in the notebook's order."""
    ids = [slot["id"] for slot in slots]
    for cell in cells:
        if cell["kind"] == "code":
            yield from split(cell["index"], cell["source"], ids)


def _with_misplaced(answer: Answer, cells: Sequence[Mapping[str, Any]], slot: Slot) -> Answer:
    """Add where the slot's code stands if it is not in a code cell; a code cell with another problem comes first."""
    if answer["state"] not in ("missing", "blank") or (answer["cell"] is not None and answer["problem"]):
        return answer
    found = find_misplaced(cells, slot)
    if answer["state"] == "blank":  # then only an answer counts, not another copy of the handout's cell
        found = [one for one in found if one.form != "comment" and _is_answered(one.source, slot)]
    if not found:
        return answer
    best = next((one for one in reversed(found) if _is_answered(one.source, slot)), found[-1])
    return {**answer, "cell": best.cell if answer["cell"] is None else answer["cell"], "problem": best.problem}


def _is_answered(source: str, slot: Slot) -> bool:
    """Say whether text that does not run holds an answer."""
    named = [piece for piece in split(0, source, [slot["id"]]) if piece.is_definition and piece.name == slot["name"]]
    return any(_classify(piece, slot)["state"] == "present" for piece in named)


def _other_copies(candidates: Sequence[Answer], answer: Answer, pieces: Sequence[Piece], slot: Slot) -> Iterator[str]:
    """Yield notes on earlier answers, and on copies below the answer that replace it when the notebook runs."""
    cells = [str(one["cell"] + 1) for one in candidates if one["state"] == "present"]
    if len(cells) > 1:
        yield (
            f"{slot['id']} is answered in cells {', '.join(cells[:-1])} and {cells[-1]}; the last one counts."
            f"{_earlier(pieces, slot, answer['source'])}"
        )
    below = candidates[next(i for i, one in enumerate(candidates) if one is answer) + 1 :]
    for copy in below:
        if what := _hides(copy, slot):
            where = "further down in it" if copy["cell"] == answer["cell"] else f"in cell {copy['cell'] + 1} below it"
            yield (
                f"{slot['id']} is answered in cell {answer['cell'] + 1}, and that answer counts, "
                f"but {where} is {what}. Delete that copy."
            )


def _hides(copy: Answer, slot: Slot) -> str:
    """Describe a copy below an answer by what it does when the notebook is run; "" if it does no harm."""
    if copy["state"] == "blank":
        return "a blank copy of the slot, which takes the answer's place when the notebook is run"
    if copy["state"] == "missing":
        return "a class without a method `forward`, which takes the answer's place when the notebook is run"
    if copy["state"] == "broken" and re.search(rf"\b(?:def|class)\s+{slot['name']}\b", copy["source"]):
        return "a copy that is not valid Python, at which the notebook stops when it is run"
    return ""


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


def _classify(piece: Piece, slot: Slot) -> Answer:
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


def _answer(piece: Piece, slot: Slot, state: str, problem: str = "") -> Answer:
    source = piece.text.strip("\n") + "\n"
    return {"slot": slot["id"], "state": state, "source": source, "cell": piece.cell, "problem": problem}


def _broken(piece: Piece, slot: Slot, reason: str) -> str:
    return (
        f"The code of {slot['id']} (cell {piece.cell + 1}) is not valid Python and cannot be run: {reason}. "
        "Run the cell in the notebook to see the place."
    )


def _missing(pieces: Sequence[Piece], slot: Slot, names: set[str]) -> Answer:
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


def _may_forward(node: ast.ClassDef) -> bool:
    """Say whether the class has a `forward`: a method, an assignment, or one inherited from a student's class."""
    for item in node.body:
        targets = item.targets if isinstance(item, ast.Assign) else []
        names = [getattr(item, "name", ""), *(getattr(target, "id", "") for target in targets)]
        if "forward" in names:
            return True
    return any(ast.unparse(base).rpartition(".")[2] != "RewardModelBase" for base in node.bases)
