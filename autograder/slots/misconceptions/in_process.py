"""Run the library's answers in the grader's process, through the driver that runs the student's answers in the worker.

Only code of this project may be run here. Student code is never executed outside the worker.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.slots.exchange import read_answers, slot_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType

    from autograder.slots.hidden_tests.base import Case, CaseAnswer


class TrustedNamespace:
    """The names that the library's sources define, for a driver to call. Later sources see those of earlier ones."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.globals: dict[str, Any] = {"__name__": "trusted"}
        for source in sources:
            exec(compiled(source), self.globals)

    def get(self, name: str) -> Any:
        """The object of that name. Raises KeyError if there is none."""
        return self.globals[name]


@lru_cache(maxsize=512)
def compiled(source: str) -> CodeType:
    """Compile one of the library's sources. Raises SyntaxError or ValueError."""
    return compile(source, "<known mistakes>", "exec", dont_inherit=True)


def run_sources(slot: str, function: str, sources: Sequence[str], cases: Sequence[Case], seed: int) -> list[CaseAnswer]:
    """Execute the sources and call the slot on each case. An exception that the slot raises is its answer.

    Raises SlotMissingError if the slot returns None.
    """
    import torch

    from autograder.inside.drivers import call_slot

    payload, arrays = slot_request(slot, function, cases, seed)
    tensors = {key: torch.from_numpy(np.array(x)) for key, x in arrays.items()}
    with torch.random.fork_rng(devices=[]), _quiet(), _one_thread():
        namespace: Any = TrustedNamespace(sources)
        data, found = call_slot(namespace, payload, tensors, lambda _: None)
    return read_answers(data, {key: x.numpy() for key, x in found.items()}, len(cases))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings: wrong code causes many, and they mean nothing to the user."""
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
    """Run PyTorch on one thread: the inputs are so small that a second one only waits, long on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
