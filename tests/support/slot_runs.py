"""Run slots in this process, through the drivers of the worker, for the tests of slots and of their messages."""

from __future__ import annotations

import builtins
import sys
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from assignment.registry import load_spec
from assignment.release.source import reference_prelude, reference_source
from autograder.core.records import Answer, Answers
from autograder.inside import drivers
from autograder.inside.namespace import Namespace
from autograder.inside.outcome import classify
from autograder.slots.hidden_tests import HIDDEN_TESTS, draw
from autograder.slots.hidden_tests.checked import CheckedAnswers, check
from autograder.slots.misconceptions import PRELUDE, in_process, load_library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPEC = load_spec()
SLOTS = tuple(HIDDEN_TESTS)
FUTURE = "from __future__ import annotations\n"


@lru_cache(maxsize=1)
def reference_sources() -> tuple[str, ...]:
    """Return the reference solution: imports and helpers, then the slots."""
    return (reference_prelude(SLOTS), *(FUTURE + reference_source(slot) for slot in SLOTS))


def base_sources(slot: str = "", source: str = "") -> list[str]:
    """Return the right answers of the library of known mistakes, with `source` instead of the one to `slot`."""
    others = [base for other, base in load_library().bases.items() if other != slot]
    return [PRELUDE, *others, *([source] if source else [])]


@lru_cache(maxsize=64)
def run_base(slot: str, seed: int) -> CheckedAnswers:
    """Run the library's right answer to a slot."""
    return run(slot, base_sources(), seed)


def run(slot: str, sources: Sequence[str], seed: int) -> CheckedAnswers:
    """Run these sources on the cases of a grading seed, and compare."""
    name, cases = SPEC.slot(slot).name, draw(slot, seed)
    return check(HIDDEN_TESTS[slot], name, cases, in_process.run_sources(slot, name, sources, cases, seed), seed)


def run_wrong(slot: str, source: str, seed: int) -> CheckedAnswers:
    """Run this answer to a slot among the library's right answers to the others."""
    return run(slot, base_sources(slot, source), seed)


def failed_checks(slot: str, sources: Sequence[str], seed: int) -> str:
    """Return the names of a slot's checks that these sources fail, or why they cannot be run, or nothing."""
    try:
        checked = run(slot, sources, seed)
    except Exception as error:  # noqa: BLE001 - sources that do not run are no right answer
        return f"{type(error).__name__}: {error}"
    return ", ".join(sorted({residual.name for residual in checked.failed}))


def submission(changes: Mapping[str, str] = {}, states: Mapping[str, Any] = {}, helpers: str = "") -> Answers:
    """Make a submission of the library's right answers. changes, states: other sources and states, by slot."""
    slots = {
        slot: Answer(slot, states.get(slot, "present"), changes.get(slot, base) if slot not in states else "")
        for slot, base in sorted(load_library().bases.items())
    }
    return Answers(PRELUDE + helpers, slots)


class LocalSession:
    """Replaces a WorkerSession: it uses the same namespace and drivers in this process, without a sandbox."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.kinds: dict[str, str] = {}  # the kind of reply to give for a slot, without running it

    def call(self, _op: str, payload: dict[str, Any], tensors: dict[str, np.ndarray], **_: Any) -> Any:
        """Run the call, and note its payload."""
        self.calls.append(payload)
        if payload["slot"] in self.kinds:
            return reply(self.kinds[payload["slot"]])
        keep_input, keep_module = builtins.input, sys.modules.get("submission")
        try:
            inputs = {name: torch.from_numpy(np.array(x)) for name, x in tensors.items()}
            data, out = drivers.call_slot(Namespace(payload["code"]), payload, inputs, lambda _: None)
        except Exception as error:  # noqa: BLE001 - as the worker does
            kind, data, text = classify(error)
            return reply(kind, data, text)
        finally:
            builtins.input = keep_input
            sys.modules["submission"] = keep_module  # type: ignore[assignment]
        return reply("answered", data, "", {name: x.numpy() for name, x in out.items()})


def reply(kind: str, data: Mapping[str, Any] = {}, error: str = "", tensors: Mapping[str, Any] = {}) -> Any:
    """Make a reply of the worker."""
    return SimpleNamespace(
        ok=kind == "answered", kind=kind, data=dict(data), tensors=dict(tensors), error=error, wall_s=0.1
    )
