"""The table of operations that a request may name.

An operation is a function `op(ns, payload, tensors, report) -> (data, tensors)`:
`ns` is the student's Namespace, `payload` the request's JSON, `tensors` its torch tensors (fresh,
writable copies), `report(dict)` sends a small progress record. `data` must be JSON with finite
numbers only: put numbers that a student computed into tensors, where NaN and Inf may travel.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .namespace import Namespace

Report = Callable[[dict[str, Any]], None]
Op = Callable[
    ["Namespace", dict[str, Any], "dict[str, torch.Tensor]", Report],
    "tuple[dict[str, Any], dict[str, torch.Tensor]]",
]

OPS: dict[str, Op] = {}
LIGHT_MODULES = ("probes", "definitions", "drivers")  # these need no transformers, whose import takes seconds
OP_MODULES = (*LIGHT_MODULES, "stages")


def op(name: str) -> Callable[[Op], Op]:
    """Register the decorated function under `name`; a second function of that name is an error."""

    def register(function: Op) -> Op:
        if name in OPS and OPS[name].__qualname__ != function.__qualname__:
            raise ValueError(f"operation {name!r} is registered twice")
        OPS[name] = function
        return function

    return register


def load_ops(modules: tuple[str, ...] = OP_MODULES) -> list[str]:
    """Import these modules of operations; returns the names of those that are not there."""
    absent = []
    for module in modules:
        full = f"{__package__}.{module}"
        try:
            importlib.import_module(full)
        except ModuleNotFoundError as error:
            if error.name != full:
                raise
            absent.append(module)
    return absent
