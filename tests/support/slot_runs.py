"""Slots run in this process, through the drivers of the worker: shared by the tests of the hidden tests."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from assignment.registry import load_spec
from assignment.release.source import reference_prelude, reference_source
from autograder.core.records import Answer, Answers
from autograder.inside import drivers
from autograder.inside.namespace import Namespace
from autograder.inside.outcome import classify
from autograder.slots.hidden_tests import HIDDEN_TESTS, Case, CaseAnswer, Residual, draw
from autograder.slots.misconceptions import PRELUDE, load, local

SPEC = load_spec()
SLOTS = tuple(HIDDEN_TESTS)
FUTURE = "from __future__ import annotations\n"


@lru_cache(maxsize=1)
def reference_sources() -> tuple[str, ...]:
    """The reference solution: imports and helpers, then the slots."""
    return (reference_prelude(SLOTS), *(FUTURE + reference_source(slot) for slot in SLOTS))


def base_sources(slot: str = "", source: str = "") -> list[str]:
    """The library's own right answers, with `source` in the place of `slot`."""
    return [PRELUDE, *(base for other, base in load().bases.items() if other != slot), *([source] if source else [])]


Run = tuple[list[Case], list[CaseAnswer], list[Residual]]


@lru_cache(maxsize=64)
def run_base(slot: str, seed: int) -> Run:
    """`run` of the library's own right answer."""
    return run(slot, base_sources(), seed)


def run(slot: str, sources: list[str] | tuple[str, ...], seed: int) -> Run:
    """Cases of a grading seed, what the sources answer, and all residuals."""
    cases = draw(slot, seed)
    answers = local.answers(slot, SPEC.slot(slot).name, sources, cases, seed)
    return cases, answers, HIDDEN_TESTS[slot].compare(cases, answers)


def faults(residuals: list[Residual]) -> list[Residual]:
    """Those that do not hold."""
    return [residual for residual in residuals if residual.fault]


def failed_checks(slot: str, sources: list[str] | tuple[str, ...], seed: int) -> str:
    """Names of what does not hold in a slot's hidden test, or why it could not run; nothing if all is well."""
    try:
        _, _, residuals = run(slot, sources, seed)
    except Exception as error:  # sources that do not run are no right answer
        return f"{type(error).__name__}: {error}"
    return ", ".join(sorted({residual.name for residual in faults(residuals)}))


def submission(changes: Mapping[str, str] = {}, states: Mapping[str, Any] = {}, helpers: str = "") -> Answers:
    """The library's right answers as a submission; `changes`: other sources, `states`: other states."""
    slots = {
        slot: Answer(slot, states.get(slot, "present"), changes.get(slot, base) if slot not in states else "")
        for slot, base in sorted(load().bases.items())
    }
    return Answers(PRELUDE + helpers, slots)


class LocalSession:
    """Stands for a WorkerSession: the same namespace and driver, in this process, without a sandbox."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.kinds: dict[str, str] = {}  # slot -> kind of reply to pretend

    def call(self, op: str, payload: dict[str, Any], tensors: dict[str, np.ndarray], **options: Any) -> Any:
        self.calls.append(payload)
        if payload["slot"] in self.kinds:
            return reply(self.kinds[payload["slot"]])
        keep_input, keep_module = builtins.input, sys.modules.get("submission")
        try:
            inputs = {name: torch.from_numpy(np.array(x)) for name, x in tensors.items()}
            data, out = drivers.call_slot(Namespace(payload["code"]), payload, inputs, lambda _: None)
        except Exception as error:
            kind, data, text = classify(error)
            return reply(kind, data, text)
        finally:
            builtins.input = keep_input
            sys.modules["submission"] = keep_module  # type: ignore[assignment]
        return reply("answered", data, "", {name: x.numpy() for name, x in out.items()})


def reply(kind: str, data: Mapping[str, Any] = {}, error: str = "", tensors: Mapping[str, Any] = {}) -> Any:
    """A reply as the judge reads it."""
    return SimpleNamespace(
        ok=kind == "answered", kind=kind, data=dict(data), tensors=dict(tensors), error=error, wall_s=0.1
    )
