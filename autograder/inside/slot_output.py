"""Convert what a slot returned into one form, so that harmless differences between answers do not matter.

A Python float, a NumPy scalar, a 0-d tensor and a tensor of shape [1] become the same number, a list of numbers becomes
an array, and float32, float64 and bool become float64. Shapes are kept, because a column in place of a row is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

MAX_NUMBERS = 1_000_000  # in one returned tensor: answers of slots are small


class NoAnswerError(Exception):
    """The slot returned None, so it is not written yet."""


# A driver calls one slot on one case, driver(function, args, tensors, output), and records what it returns in output.
Driver = Callable[[Any, dict[str, Any], dict[str, Tensor], "SlotOutput"], None]
DRIVERS: dict[str, Driver] = {}
LIGHT: set[str] = set()  # slots whose drivers import neither rlhf_kit nor transformers, which takes seconds


def driver(slot: str, *, light: bool = False) -> Callable[[Driver], Driver]:
    """Register the decorated function as the driver of a slot. Raises ValueError if the slot has a driver already.

    light: the driver needs neither rlhf_kit nor transformers.
    """

    def register(function: Driver) -> Driver:
        if slot in DRIVERS and DRIVERS[slot].__qualname__ != function.__qualname__:
            raise ValueError(f"two drivers of {slot}: {DRIVERS[slot].__qualname__} and {function.__qualname__}")
        DRIVERS[slot] = function
        LIGHT.update({slot} if light else ())
        return function

    return register


class SlotOutput:
    """The answer to one case: JSON `values`, float64 or int64 `tensors`, and the `error` that ended the call."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.error: dict[str, str] | None = None

    def array(self, name: str, value: Any) -> None:
        """Record an array. Raises NoAnswerError if it is None."""
        self.tensors[name] = _plain(tensor(value))

    def number(self, name: str, value: Any) -> None:
        """Record a number: whatever holds exactly one number becomes 0-d. Raises NoAnswerError if it is None."""
        self.tensors[name] = _plain(scalar(value))

    def gradient(self, name: str, leaf: Tensor) -> None:
        """Record the gradient of `leaf`, if it has one."""
        if leaf.grad is not None:
            self.tensors[name] = _plain(leaf.grad)


def tensor(value: Any) -> Tensor:
    """Convert a tensor, a number, an array or a (nested) list of them. Raises NoAnswerError if the value is None."""
    if value is None:
        raise NoAnswerError
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple):
        return torch.stack([tensor(item) for item in value]) if len(value) else torch.zeros(0)
    return torch.as_tensor(value)


def scalar(value: Any) -> Tensor:
    """Convert as `tensor` does, to a 0-d tensor if it holds exactly one number."""
    found = tensor(value)
    return found.reshape(()) if found.numel() == 1 else found


def _plain(value: Tensor) -> Tensor:
    """A detached copy on the CPU as int64 or float64. Raises ValueError if it is too large."""
    if value.numel() > MAX_NUMBERS:
        raise ValueError(f"an answer of {value.numel()} numbers is larger than any that was asked for")
    kind = torch.int64 if value.dtype in (torch.int32, torch.int64) else torch.float64
    return value.detach().to("cpu", kind).clone().contiguous()


def pair(value: Any, what: str) -> tuple[Any, Any]:
    """The two values of a tuple, a list, a mapping or a dataclass. Raises NoAnswerError if it is None, else TypeError.

    what: the pair that was expected, for the error's text.
    """
    if value is None:
        raise NoAnswerError
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if hasattr(value, "__dataclass_fields__"):
        value = tuple(getattr(value, name) for name in value.__dataclass_fields__)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError(f"expected {what}, got {type(value).__name__}")
    return value[0], value[1]


def field(record: Any, name: str) -> Any:
    """`record[name]` of a mapping, or the attribute of that name; None if it has neither."""
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def ids(value: Any) -> list[int]:
    """Convert token ids in a list, tuple, 1-d tensor or array to Python ints. Raises NoAnswerError for None."""
    if value is None:
        raise NoAnswerError
    return [int(token) for token in value]
