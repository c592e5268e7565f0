"""Convert what a slot returned to one form, so that harmless differences between answers do not matter.

A Python float, a NumPy scalar, a 0-d tensor and a tensor of shape [1] become one number; a list of numbers becomes an
array; float32, float64 and bool become float64. Shapes are kept: if a slot returns a column where a row was asked for,
the grader sees the different shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

MAX_NUMBERS = 1_000_000  # most elements of one returned tensor; the answers of slots are small


class ReturnedNoneError(Exception):
    """A slot returned None, so it is not answered yet."""


class ReturnedValues:
    """What a slot returned for one case: JSON `values`, float64 or int64 `tensors`, and the `error` that it raised."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.error: dict[str, str] | None = None

    def add_array(self, name: str, value: Any) -> None:
        """Record an array under `name`. Raises ReturnedNoneError if it is None."""
        self.tensors[name] = _plain(tensor(value))

    def add_number(self, name: str, value: Any) -> None:
        """Record a number under `name`. A value that holds exactly one number becomes 0-d."""
        self.tensors[name] = _plain(scalar(value))

    def add_gradient(self, name: str, leaf: Tensor) -> None:
        """Record the gradient of `leaf` under `name`, if it has one."""
        if leaf.grad is not None:
            self.tensors[name] = _plain(leaf.grad)


def tensor(value: Any) -> Tensor:
    """Convert a tensor, a number, an array or a (nested) list of them to a tensor. Raises ReturnedNoneError if None."""
    if value is None:
        raise ReturnedNoneError
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple):
        return torch.stack([tensor(item) for item in value]) if len(value) else torch.zeros(0)
    return torch.as_tensor(value)


def scalar(value: Any) -> Tensor:
    """Convert like `tensor`, and make it 0-d if it holds exactly one number."""
    found = tensor(value)
    return found.reshape(()) if found.numel() == 1 else found


def _plain(value: Tensor) -> Tensor:
    if value.numel() > MAX_NUMBERS:
        raise ValueError(f"an answer of {value.numel()} numbers is larger than any that was asked for")
    kind = torch.int64 if value.dtype in (torch.int32, torch.int64) else torch.float64
    return value.detach().to("cpu", kind).clone().contiguous()


def pair(value: Any, what: str) -> tuple[Any, Any]:
    """Take two values from a tuple, a list, a dict or a dataclass. Raises ReturnedNoneError if None, or TypeError.

    what: names the two values in the error's text.
    """
    if value is None:
        raise ReturnedNoneError
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if hasattr(value, "__dataclass_fields__"):
        value = tuple(getattr(value, name) for name in value.__dataclass_fields__)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError(f"expected {what}, got {type(value).__name__}")
    return value[0], value[1]


def field(record: Any, name: str) -> Any:
    """Return `record[name]` of a dict, or the attribute of that name, or None if there is none."""
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def ids(value: Any) -> list[int]:
    """Convert token ids in a list, a tuple, or a 1-d tensor or array to ints. Raises ReturnedNoneError if None."""
    if value is None:
        raise ReturnedNoneError
    return [int(token) for token in value]
