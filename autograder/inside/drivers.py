"""The operation `call_slot` calls one slot on the cases of a request and returns its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from . import drive_values  # noqa: F401 (registers its drivers)
from .driver_table import DRIVERS, Driver
from .namespace import Namespace, SlotMissingError, describe, short_traceback
from .operations import Report, Result, op
from .outcome import is_out_of_memory, is_placeholder
from .returned import ReturnedNoneError, ReturnedValues

if TYPE_CHECKING:
    from torch import Tensor


def driver_of(slot: str) -> Driver:
    """Return a slot's driver. Drivers that run models are imported only once they are needed."""
    if slot not in DRIVERS:
        from . import drive_loops, drive_models  # noqa: F401
    return DRIVERS[slot]


@op("call_slot")
def call_slot(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Result:
    """Run every case of `payload` = {slot, name, seed, cases: [args]}; the tensors of case i are called "i.…".

    Returns {"cases": [{"values", "error"}]} and the tensors, named in the same way. If the first case reaches a
    placeholder or returns None, the slot counts as not attempted (for None by SlotMissingError).
    """
    function = ns.get(payload["name"])
    run = driver_of(payload["slot"])
    cases, answers = [], {}
    for i, args in enumerate(payload["cases"]):
        mine = {name.split(".", 1)[1]: x for name, x in tensors.items() if name.startswith(f"{i}.")}
        try:
            returned = _run_case(run, function, args, mine, seed=int(payload["seed"]) + i, first=i == 0)
        except ReturnedNoneError:
            raise SlotMissingError(payload["name"], payload["slot"], "returned None") from None
        cases.append({"values": returned.values, "error": returned.error})
        answers.update({f"{i}.{name}": x for name, x in returned.tensors.items()})
        report({"case": i})
    return {"cases": cases}, answers


def _run_case(
    run: Driver, function: Any, args: dict[str, Any], tensors: dict[str, Tensor], *, seed: int, first: bool
) -> ReturnedValues:
    """Run one case. An exception ends only this case, unless it means that the slot is not attempted."""
    returned = ReturnedValues()
    torch.manual_seed(seed)
    try:
        run(function, args, tensors, returned)
    except ReturnedNoneError:
        if first:
            raise
        returned.error = {"type": "TypeError", "text": "returned None", "trace": ""}
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error) or (first and is_placeholder(error)):
            raise
        returned.error = _record_of(error)
    return returned


def _record_of(error: BaseException) -> dict[str, str]:
    """Return the nearest built-in type (a student may name a class anything), the text and the last frames."""
    builtin = next(t.__name__ for t in type(error).__mro__ if t.__module__ == "builtins")
    return {"type": builtin, "text": describe(error), "trace": short_traceback(error)}
