"""Runs our own wrong answers in this process, through the very driver that runs the student's.

Only code of ours comes here. Student code is never executed outside the worker.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from autograder.slots.hidden_tests.base import Case, CaseAnswer


class TrustedNamespace:
    """What a driver needs of a namespace, for sources of ours: later sources see earlier ones' names."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.globals: dict[str, Any] = {"__name__": "trusted"}
        for source in sources:
            exec(compiled(source), self.globals)

    def get(self, name: str) -> Any:
        """The object of that name; KeyError if there is none."""
        return self.globals[name]


@lru_cache(maxsize=512)
def compiled(source: str) -> CodeType:
    """The code of one of our sources. Raises SyntaxError or ValueError."""
    return compile(source, "<ours>", "exec", dont_inherit=True)


def answers(
    slot: str, name: str, sources: Sequence[str], cases: Sequence[Case], seed: int
) -> list[CaseAnswer]:
    """What these sources answer to the cases. An exception of the slot is part of the answer.

    Raises SlotMissingError if the slot returns None.
    """
    import torch

    from autograder.inside.drivers import call_slot

    payload, arrays = request(slot, name, cases, seed)
    tensors = {key: torch.from_numpy(np.array(x)) for key, x in arrays.items()}
    with torch.random.fork_rng(devices=[]), _quiet(), _one_thread():
        namespace: Any = TrustedNamespace(sources)
        data, found = call_slot(namespace, payload, tensors, lambda _: None)
    return read(data, {key: x.numpy() for key, x in found.items()}, len(cases))


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings: wrong code earns many, and none of them is the user's business."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread: on tiny inputs a second one only waits, and on a busy machine for long."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def request(
    slot: str, name: str, cases: Sequence[Case], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Payload and arrays of a `call_slot` request: nothing of what only the grader knows."""
    payload = {"slot": slot, "name": name, "seed": seed % 2**31, "cases": [dict(case.args) for case in cases]}
    return payload, {f"{i}.{key}": x for i, case in enumerate(cases) for key, x in case.tensors.items()}


def read(data: Mapping[str, Any], tensors: Mapping[str, np.ndarray], count: int) -> list[CaseAnswer]:
    """Answers per case from a reply; ValueError if it is not one answer per case."""
    cases = data.get("cases")
    if not isinstance(cases, list) or len(cases) != count or not all(isinstance(c, dict) for c in cases):
        raise ValueError("the reply does not hold one answer per case")
    out = []
    for i, case in enumerate(cases):
        mine = {name.split(".", 1)[1]: x for name, x in tensors.items() if name.startswith(f"{i}.")}
        values, error = case.get("values"), case.get("error")
        if not isinstance(values, dict) or not (error is None or isinstance(error, dict)):
            raise ValueError("an answer has no values")
        out.append(CaseAnswer(values, mine, error))
    return out
