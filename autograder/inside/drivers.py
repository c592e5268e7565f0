"""Call one slot on the cases of a request. The worker has no expected values: inputs come in, and answers go out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import drive_values  # noqa: F401  (registers its drivers)
from .namespace import Namespace, SlotMissing, short_traceback, shown
from .outcome import is_out_of_memory, is_placeholder
from .registry import Report, op
from .slot_output import DRIVERS, Driver, NoAnswerError, SlotOutput


def driver_of(slot: str) -> Driver:
    """The driver of a slot. Drivers that run models are imported when one of them is first needed."""
    if slot not in DRIVERS:
        from . import drive_loops, drive_models  # noqa: F401
    return DRIVERS[slot]


@op("call_slot")
def call_slot(
    ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Run every case of `payload` = {slot, name, seed, cases: [args]}. The tensors of case i are named "i.<name>".

    Returns {"cases": [{"values", "error"}]} and the answers' tensors, named in the same way. Raises SlotMissing if the
    slot returns None in the first case; if it raises its placeholder there, that exception passes through.
    """
    function = ns.get(payload["name"])
    run = driver_of(payload["slot"])
    cases, answers = [], {}
    for i, args in enumerate(payload["cases"]):
        mine = {name.split(".", 1)[1]: x for name, x in tensors.items() if name.startswith(f"{i}.")}
        try:
            output = _run_case(run, function, args, mine, seed=int(payload["seed"]) + i, first=i == 0)
        except NoAnswerError:
            raise SlotMissing(payload["name"], payload["slot"], "returned None") from None
        cases.append({"values": output.values, "error": output.error})
        answers.update({f"{i}.{name}": x for name, x in output.tensors.items()})
        report({"case": i})
    return {"cases": cases}, answers


def _run_case(
    run: Driver, function: Any, args: dict[str, Any], tensors: dict[str, Tensor], *, seed: int, first: bool
) -> SlotOutput:
    """Run one case. An exception ends only this case, unless it shows that the slot is not written."""
    output = SlotOutput()
    torch.manual_seed(seed)
    try:
        run(function, args, tensors, output)
    except NoAnswerError:
        if first:
            raise
        output.error = {"type": "TypeError", "text": "returned None", "trace": ""}
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error) or (first and is_placeholder(error)):
            raise
        output.error = _described(error)
    return output


def _described(error: BaseException) -> dict[str, str]:
    """An exception as JSON: its nearest built-in type (a student's class may have any name), its text, its frames."""
    builtin = next(t.__name__ for t in type(error).__mro__ if t.__module__ == "builtins")
    return {"type": builtin, "text": shown(error), "trace": short_traceback(error)}
