"""Whether what a slot returned has the form that it must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def is_texts(n: int) -> Callable[[Any], bool]:
    """Return a test for n strings in a tuple or list."""
    return lambda x: (
        isinstance(x, tuple | list) and len(x) == n and all(isinstance(s, str) for s in x)
    )


def is_example(x: Any) -> bool:
    """Return whether x is an encoded demonstration."""
    return isinstance(x, Mapping) and "input_ids" in x and "labels" in x


def is_list(x: Any) -> bool:
    """Return whether x is a list."""
    return isinstance(x, list)


def expect(value: Any, name: str, what: str, good: Callable[[Any], bool]) -> Any:
    """Return `value` if it is good, else raise a TypeError that says what the slot must return."""
    if not good(value):
        raise TypeError(f"`{name}` must return {what}; it returned {type(value).__name__}")
    return value
