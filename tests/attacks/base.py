"""The attacks' data types, and their notebooks: the solved notebook with hostile code in a slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from textwrap import dedent, indent
from typing import Any

import nbformat

from assignment.release.archive import NOTEBOOK
from assignment.release.notebook import to_bytes
from assignment.release.release import build

TARGET = "T08"  # the cheapest slot to call: two tensors in, a number out
WRONG = "0.25"  # never the right accuracy
HEAD = "import os, sys, time, json, socket, struct\nimport torch\n"


@dataclass(frozen=True)
class Machine:
    """What the attacker knows about the machine. The strongest attacker knows every path and port.

    The contents of the canaries are not known: `Canaries` keeps them and searches every report for them.
    """

    token: str  # part of the name of everything that an attack plants
    home: str  # a secret in the grader's home
    tree: str  # a secret in the grader's own tree
    neighbour: str  # another submission, beside the attacker's
    root: str  # the checkout with the hidden tests
    tcp: int
    udp: int
    unix: str
    abstract: str


FIXED = Machine("token", "/h", "/t", "/n", "/r", 1, 2, "/u", "a")  # replaces the real machine where attacks are hashed


@dataclass(frozen=True)
class RunResult:
    """How one run of the real command ended. points, statuses: by item. texts: by name of the report."""

    code: int
    wall_s: float
    rss_bytes: int
    points: Mapping[str, float] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    criteria: Mapping[str, bool | None] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The points of all graded items."""
        return sum(self.points.values())


Check = Callable[[RunResult, Machine], str]


@dataclass(frozen=True)
class Attack:
    """One hostile submission.

    rows: the rows of the catalogue that it covers. hostile, harmless: the submitted file, and the same submission
    without the attack. only: the items to grade. file: the name of the file. wall_s: the run must take fewer seconds.
    check: another condition, which returns "" if it holds and else a complaint. quick: part of the quick sample.
    beside: the next submission is graded at the same time, not afterwards.
    """

    id: str
    title: str
    defence: str
    rows: tuple[str, ...]
    hostile: Callable[[Machine], bytes]
    harmless: Callable[[], bytes]
    only: tuple[str, ...] = (TARGET,)
    file: str = "submission.ipynb"
    wall_s: float = 180.0
    check: Check | None = None
    quick: bool = False
    beside: bool = False


@lru_cache(maxsize=1)
def _release() -> tuple[str, str]:
    release = build()
    return release.generated[NOTEBOOK].decode(), release.solved.decode()


def solved() -> Any:
    """A new copy of the solved notebook."""
    return nbformat.reads(_release()[1], as_version=4)


def blank_source(slot: str) -> str:
    """The cell of an unanswered slot."""
    cells = nbformat.reads(_release()[0], as_version=4).cells
    return str(next(cell.source for cell in cells if cell.id == slot))


def notebook(slots: Mapping[str, str] = {}, helpers: str = "", blank: tuple[str, ...] = ()) -> bytes:
    """The solved notebook with other sources in some slots, some slots unanswered, and an additional helper cell."""
    book = solved()
    for cell in book.cells:
        if cell.id in slots:
            cell.source = cell.source.split("\n", 1)[0] + "\n" + slots[cell.id]
        elif cell.id in blank:
            cell.source = blank_source(cell.id)
    if helpers:
        first = next(i for i, cell in enumerate(book.cells) if cell.cell_type == "code")
        book.cells.insert(first + 1, nbformat.v4.new_code_cell(helpers, id="my-helpers"))
    return to_bytes(book)


def helper_cell(machine: Machine) -> str:
    """A helper cell with imports, what the attacker knows, and the one way to get words out: an exception."""
    return HEAD + dedent(f'''
        SITE = {asdict(machine)!r}

        def loot(*found):
            """Carry these out in the only text that anybody reads."""
            raise RuntimeError("LOOT " + repr(found))
        ''')


def in_slot(body: str, answer: str = WRONG) -> str:
    """T08 with this body. answer: what it returns at its end."""
    lines = indent(dedent(body).strip("\n"), "    ")
    return f'def preference_accuracy(chosen, rejected):\n    """Share of pairs ranked right."""\n{lines}\n    return {answer}\n'


def harmless() -> bytes:
    """The harmless version of most attacks: T08 returns a constant, and there is no hostile code."""
    return notebook({TARGET: in_slot("pass")})


def code_in_slot(body: str, helpers: str = "") -> Callable[[Machine], bytes]:
    """A notebook with hostile code that runs when T08 is called. It can use `SITE` and `loot`."""
    return lambda machine: notebook({TARGET: in_slot(body)}, helper_cell(machine) + dedent(helpers))
