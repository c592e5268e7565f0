"""Weights that came back: the exact manifest they must fit, and the models made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autograder.reference.models import State
from autograder.sandbox.protocol import ProtocolError, TensorSpec
from autograder.training.outcome import Unusable

NOT_FINITE = (  # seen, to try
    "The trained weights contain NaN or infinity: training diverged.",
    "Check the loss for a division by zero or a logarithm of zero, and that gradients are clipped.",
)


@dataclass(frozen=True)
class Trained:
    """Snapshots of one run, the start included: optimiser steps and the weights at each, in order."""

    steps: tuple[int, ...]
    states: tuple[State, ...]

    @property
    def final(self) -> State:
        """The weights that the decision rests on."""
        return self.states[-1]

    @property
    def optimizer_steps(self) -> int:
        """Steps that the student's loop did."""
        return self.steps[-1]


def snapshot_manifest(state: State, most: int) -> Callable[[dict[str, Any]], Mapping[str, TensorSpec]]:
    """Names, dtypes and shapes of an answer that announces its steps: up to `most` snapshots like `state`."""

    def manifest(data: dict[str, Any]) -> Mapping[str, TensorSpec]:
        steps = announced_steps(data, most)
        return {
            f"s{step:06d}/{name}": TensorSpec("float32", tuple(x.shape)) for step in steps for name, x in state.items()
        }

    return manifest


def announced_steps(data: Mapping[str, Any], most: int) -> list[int]:
    """The snapshots' steps; ProtocolError unless they are 1 to `most` rising counts."""
    steps = data.get("steps")
    if type(steps) is not list or not 1 <= len(steps) <= most or any(type(s) is not int for s in steps):
        raise ProtocolError("the snapshots' steps are no short list of counts")
    if steps[0] < 0 or steps[-1] >= 10**6 or any(a >= b for a, b in zip(steps, steps[1:])):
        raise ProtocolError("the snapshots' steps do not rise")
    return steps


def trained(start: State, data: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Trained:
    """The run's snapshots, start first; those with NaN are left out. Unusable if the last have some."""
    steps: list[int] = []
    states: list[State] = []
    for step in data["steps"]:
        state = {name: torch.from_numpy(tensors[f"s{step:06d}/{name}"]) for name in start}
        if all(bool(torch.isfinite(x).all()) for x in state.values()):
            steps.append(step)
            states.append(state)
        elif step == data["steps"][-1]:
            raise Unusable(*NOT_FINITE)
    if steps[0] == 0:  # the loop made no optimiser step: what it left is both start and end
        return Trained((0, 0), (start, states[-1]))
    return Trained((0, *steps), (start, *states))


def flat(prefix: str, state: State) -> dict[str, np.ndarray]:
    """Weights as arrays to send, each name behind `prefix`."""
    return {f"{prefix}{name}": np.ascontiguousarray(x.numpy()) for name, x in state.items()}


def frozen(start: State, end: State) -> list[str]:
    """The parts ("body", "head") of which not one weight has changed."""
    parts: dict[str, bool] = {}
    for name, before in start.items():
        part = "head" if name.startswith("score.") else "body"
        parts[part] = parts.get(part, True) and bool(torch.equal(before, end[name]))
    return [part for part, same in parts.items() if same]


def moved(start: State, end: State) -> float:
    """Relative change ‖end − start‖ / ‖start‖ over all weights, to twelve digits: how a sum is split, and so its
    last digit, depends on where memory happens to lie, and one seed gives one report."""
    names: Sequence[str] = list(start)
    change = sum(float((end[n].double() - start[n].double()).square().sum()) for n in names)
    size = sum(float(start[n].double().square().sum()) for n in names)
    return float(f"{(change / size) ** 0.5:.12g}") if size else 0.0
