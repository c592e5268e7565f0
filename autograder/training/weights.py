"""Returned weights: the manifest that they must match exactly, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autograder.sandbox.protocol import ProtocolError, TensorSpec
from autograder.training.outcome import UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autograder.reference.models import State

NOT_FINITE = (  # what was seen, what to try
    "The trained weights contain NaN or infinity: training diverged.",
    "Check the loss for a division by zero or a logarithm of zero, and that gradients are clipped.",
)


@dataclass(frozen=True)
class Snapshots:
    """Snapshots of one run in order, with the start: numbers of optimiser steps, and the weights after each."""

    steps: tuple[int, ...]
    states: tuple[State, ...]

    @property
    def final(self) -> State:
        """Return the weights at the end, by which the item is decided."""
        return self.states[-1]

    @property
    def optimizer_steps(self) -> int:
        """Return the number of optimiser steps that the student's loop made."""
        return self.steps[-1]


def snapshot_manifest(state: State, most: int) -> Callable[[dict[str, Any]], Mapping[str, TensorSpec]]:
    """Return a function from an answer's data, which announce the steps of up to `most` snapshots, to the names, dtypes
    and shapes that its tensors must have: those of `state` for each snapshot."""

    def manifest(data: dict[str, Any]) -> Mapping[str, TensorSpec]:
        steps = announced_steps(data, most)
        return {
            f"s{step:06d}/{name}": TensorSpec("float32", tuple(x.shape)) for step in steps for name, x in state.items()
        }

    return manifest


def announced_steps(data: Mapping[str, Any], most: int) -> list[int]:
    """Return the steps of the snapshots. Raises ProtocolError unless they are 1 to `most` rising counts."""
    steps = data.get("steps")
    if type(steps) is not list or not 1 <= len(steps) <= most or any(type(s) is not int for s in steps):
        raise ProtocolError(f"the snapshots' steps are no list of 1 to {most} counts")
    if steps[0] < 0 or steps[-1] >= 10**6 or any(a >= b for a, b in pairwise(steps)):
        raise ProtocolError("the snapshots' steps do not rise")
    return steps


def read_snapshots(start: State, data: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Snapshots:
    """Return the run's snapshots after the start. Those with NaN or infinity are left out.

    Raises:
        UnusableError: the last snapshot has NaN or infinity.
    """
    steps: list[int] = []
    states: list[State] = []
    for step in data["steps"]:
        state = {name: torch.from_numpy(tensors[f"s{step:06d}/{name}"]) for name in start}
        if all(bool(torch.isfinite(x).all()) for x in state.values()):
            steps.append(step)
            states.append(state)
        elif step == data["steps"][-1]:
            raise UnusableError(*NOT_FINITE)
    if steps[0] == 0:  # the loop made no optimiser step: there is one snapshot, the end
        return Snapshots((0, 0), (start, states[-1]))
    return Snapshots((0, *steps), (start, *states))


def prefixed(prefix: str, state: State) -> dict[str, np.ndarray]:
    """Return weights as arrays to send, with `prefix` before each name."""
    return {f"{prefix}{name}": np.ascontiguousarray(x.numpy()) for name, x in state.items()}


def unchanged_parts(start: State, end: State) -> list[str]:
    """Return the parts of the model ("body", "head") in which no weight has changed."""
    parts: dict[str, bool] = {}
    for name, before in start.items():
        part = "head" if name.startswith("score.") else "body"
        parts[part] = parts.get(part, True) and bool(torch.equal(before, end[name]))
    return [part for part, same in parts.items() if same]


def relative_change(start: State, end: State) -> float:
    """Return ‖end − start‖ / ‖start‖ over all weights, rounded to twelve digits: the last digits of a sum depend on
    memory alignment, and a seed has to give the same report every time."""
    names: Sequence[str] = list(start)
    change = sum(float((end[n].double() - start[n].double()).square().sum()) for n in names)
    size = sum(float(start[n].double().square().sum()) for n in names)
    return float(f"{(change / size) ** 0.5:.12g}") if size else 0.0
