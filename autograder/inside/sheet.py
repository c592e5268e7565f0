"""What a slot returned, brought into one form: the harmless differences between answers end here.

A Python float, a NumPy scalar, a 0-d tensor and a tensor of shape [1] are one number; a list of
numbers is an array; float32, float64 and bool become float64. Shapes are kept: a column where a row
was asked for is an answer of another shape, and the grader sees it as such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

MAX_NUMBERS = 1_000_000  # of one returned tensor: answers of slots are small


class NoAnswer(Exception):
    """A slot returned None: it does nothing yet."""


# A driver calls one slot on one case: run(function, args, tensors, sheet).
Driver = Callable[[Any, dict[str, Any], dict[str, Tensor], "Sheet"], None]
DRIVERS: dict[str, Driver] = {}
LIGHT: set[str] = set()  # slots whose drivers need neither rlhf_kit nor transformers, whose import takes seconds


def driver(slot: str, *, light: bool = False) -> Callable[[Driver], Driver]:
    """Register the decorated function as the driver of a slot; a second one for that slot is an error."""

    def register(function: Driver) -> Driver:
        if slot in DRIVERS and DRIVERS[slot].__qualname__ != function.__qualname__:
            raise ValueError(f"two drivers of {slot}: {DRIVERS[slot].__qualname__} and {function.__qualname__}")
        DRIVERS[slot] = function
        LIGHT.update({slot} if light else ())
        return function

    return register


class Sheet:
    """The answer to one case: JSON `values`, float64 or int64 `tensors`, and the `error` that ended it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.error: dict[str, str] | None = None

    def array(self, name: str, value: Any) -> None:
        """Note an array under `name`; NoAnswer if it is None."""
        self.tensors[name] = _plain(tensor(value))

    def number(self, name: str, value: Any) -> None:
        """Note one number under `name`: whatever holds exactly one becomes 0-d."""
        self.tensors[name] = _plain(scalar(value))

    def gradient(self, name: str, leaf: Tensor) -> None:
        """Note the gradient that arrived at `leaf`; nothing is noted where none did."""
        if leaf.grad is not None:
            self.tensors[name] = _plain(leaf.grad)


def tensor(value: Any) -> Tensor:
    """A tensor from a tensor, a number, an array or a (nested) list of them."""
    if value is None:
        raise NoAnswer
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple):
        return torch.stack([tensor(item) for item in value]) if len(value) else torch.zeros(0)
    return torch.as_tensor(value)


def scalar(value: Any) -> Tensor:
    """As `tensor`, and 0-d if it holds exactly one number."""
    found = tensor(value)
    return found.reshape(()) if found.numel() == 1 else found


def _plain(value: Tensor) -> Tensor:
    if value.numel() > MAX_NUMBERS:
        raise ValueError(f"an answer of {value.numel()} numbers is larger than any that was asked for")
    kind = torch.int64 if value.dtype in (torch.int32, torch.int64) else torch.float64
    return value.detach().to("cpu", kind).clone().contiguous()


def pair(value: Any, what: str) -> tuple[Any, Any]:
    """Two returned things from a tuple, a list or a dataclass with two fields; NoAnswer if None."""
    if value is None:
        raise NoAnswer
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if hasattr(value, "__dataclass_fields__"):
        value = tuple(getattr(value, name) for name in value.__dataclass_fields__)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError(f"expected {what}, got {type(value).__name__}")
    return value[0], value[1]


def field(record: Any, name: str) -> Any:
    """`record[name]` of a dict, or the attribute of that name; None where there is none."""
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def ids(value: Any) -> list[int]:
    """Token ids as Python ints, from a list, a tuple or a 1-d tensor or array."""
    if value is None:
        raise NoAnswer
    return [int(token) for token in value]
