"""The table of operations that a request may name.

An operation is a function `op(ns, payload, tensors, report) -> (data, tensors)`. `ns` is the student's Namespace,
`payload` the request's JSON, `tensors` its torch tensors (fresh, writable copies), and `report(dict)` sends a small
progress record. `data` must be JSON with finite numbers only, so numbers that a student computed belong into tensors,
which may hold NaN and Inf.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .namespace import Namespace

Report = Callable[[dict[str, Any]], None]
Result = tuple[dict[str, Any], "dict[str, torch.Tensor]"]
Op = Callable[["Namespace", dict[str, Any], "dict[str, torch.Tensor]", Report], Result]

OPS: dict[str, Op] = {}
LIGHT_MODULES = ("diagnostics", "definitions", "drivers")  # these need no transformers, whose import takes seconds
OP_MODULES = (*LIGHT_MODULES, "stages")


def op(name: str) -> Callable[[Op], Op]:
    """Register the decorated function under `name`. Raises ValueError for a second function of that name."""

    def register(function: Op) -> Op:
        if name in OPS and OPS[name].__qualname__ != function.__qualname__:
            raise ValueError(f"operation {name!r} is registered twice")
        OPS[name] = function
        return function

    return register


def load_ops(modules: tuple[str, ...] = OP_MODULES) -> list[str]:
    """Import these modules of operations and return the names of those that do not exist."""
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
