"""The table of drivers. A driver calls one slot on one case and records what the slot returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from .returned import ReturnedValues

# driver(function, args, tensors, returned): the slot's function, the case's JSON and tensors, where to record
Driver = Callable[[Any, dict[str, Any], "dict[str, Tensor]", "ReturnedValues"], None]
DRIVERS: dict[str, Driver] = {}
LIGHT: set[str] = set()  # slots whose drivers need neither rlhf_kit nor transformers, whose import takes seconds


def driver(slot: str, *, light: bool = False) -> Callable[[Driver], Driver]:
    """Register the decorated function as the driver of a slot. Raises ValueError for a second driver of that slot."""

    def register(function: Driver) -> Driver:
        if slot in DRIVERS and DRIVERS[slot].__qualname__ != function.__qualname__:
            raise ValueError(f"two drivers of {slot}: {DRIVERS[slot].__qualname__} and {function.__qualname__}")
        DRIVERS[slot] = function
        LIGHT.update({slot} if light else ())
        return function

    return register
