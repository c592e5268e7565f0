"""Calls one slot on the cases of a request. Holds no expected value: inputs in, answers out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import drive_values  # noqa: F401  (registers its drivers)
from .namespace import Namespace, SlotMissing, short_traceback, shown
from .outcome import is_out_of_memory, is_placeholder
from .registry import Report, op
from .sheet import DRIVERS, Driver, NoAnswer, Sheet


def driver_of(slot: str) -> Driver:
    """A slot's driver; those that run models are imported when they are first asked for."""
    if slot not in DRIVERS:
        from . import drive_loops, drive_models  # noqa: F401
    return DRIVERS[slot]


@op("call_slot")
def call_slot(
    ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Run every case of `payload` = {slot, name, seed, cases: [args]}; case i's tensors are called "i.…".

    Returns {"cases": [{"values", "error"}]} and the tensors, named likewise.
    A placeholder, or None returned, in the first case means that the slot is not attempted (SlotMissing).
    """
    function = ns.get(payload["name"])
    run = driver_of(payload["slot"])
    cases, answers = [], {}
    for i, args in enumerate(payload["cases"]):
        mine = {name.split(".", 1)[1]: x for name, x in tensors.items() if name.startswith(f"{i}.")}
        try:
            sheet = _run_case(run, function, args, mine, seed=int(payload["seed"]) + i, first=i == 0)
        except NoAnswer:
            raise SlotMissing(payload["name"], payload["slot"], "returned None") from None
        cases.append({"values": sheet.values, "error": sheet.error})
        answers.update({f"{i}.{name}": x for name, x in sheet.tensors.items()})
        report({"case": i})
    return {"cases": cases}, answers


def _run_case(
    run: Driver, function: Any, args: dict[str, Any], tensors: dict[str, Tensor], *, seed: int, first: bool
) -> Sheet:
    """One case. An exception ends this case alone, unless it says that nothing was attempted."""
    sheet = Sheet()
    torch.manual_seed(seed)
    try:
        run(function, args, tensors, sheet)
    except NoAnswer:
        if first:
            raise
        sheet.error = {"type": "TypeError", "text": "returned None", "trace": ""}
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error) or (first and is_placeholder(error)):
            raise
        sheet.error = _described(error)
    return sheet


def _described(error: BaseException) -> dict[str, str]:
    """The nearest built-in type (a student may name a class anything), the text, the last frames."""
    builtin = next(t.__name__ for t in type(error).__mro__ if t.__module__ == "builtins")
    return {"type": builtin, "text": shown(error), "trace": short_traceback(error)}
