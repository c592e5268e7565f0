"""Copy a model's weights while a student's loop trains it, without needing the loop's cooperation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

TIED = "lm_head.weight"  # shares storage with the token embedding, so it is not sent twice
REPORT_EVERY = 0.5  # seconds between two progress records


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Copy the model's weights to the CPU as float32, without the tied output embedding."""
    return {
        name: value.detach().to("cpu", torch.float32, copy=True).contiguous()
        for name, value in model.state_dict().items()
        if name != TIED
    }


def load_state(model: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> nn.Module:
    """Fill `model` with the tensors called prefix + name and return it. Raises KeyError if one is missing."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name != TIED:
                value.copy_(tensors[prefix + name])
    return model


class RecordedLoop:
    """Replaces a training loop: runs it, counts optimiser steps and copies the weights between them.

    loop: the student's function, whose first argument is the model (or a Policy, of which `.lm` is recorded).
    count: number of snapshots wanted, the final one included.

    A global post-hook of torch's optimisers sees every step, however the loop is written; only optimisers that hold a
    weight of the recorded model count. The number of steps is not known in advance, so copies are kept every `stride`
    steps; whenever there are too many, every other one is dropped and the stride doubles.
    """

    def __init__(self, loop: Callable[..., Any], count: int, report: Callable[[dict[str, Any]], None]) -> None:
        self.loop, self.count, self.report = loop, count, report
        self.model: nn.Module | None = None
        self.steps, self.stride = 0, 1
        self.kept: dict[int, dict[str, Tensor]] = {}
        self.latest: dict[str, float] = {}
        self._owned: frozenset[int] = frozenset()
        self._reported = 0.0

    def __call__(self, model: nn.Module, *args: Any) -> list[Any]:
        """Run the loop on `model`. Its return value does not matter, because the weights are measured."""
        self.model = getattr(model, "lm", model)
        self._owned = frozenset(id(p) for p in self.model.parameters())
        handle = register_optimizer_step_post_hook(self._after_step)
        try:
            result = self.loop(model, *args)
        finally:
            handle.remove()
        return result if isinstance(result, list) else []

    def on_step(self, step: int, value: Any) -> None:  # noqa: ARG002 (a loop may pass it by name)
        """Receive what the loop reports. It is shown as progress and never used as evidence."""
        values = value if isinstance(value, Mapping) else {"loss": value}
        for name in ("loss", "reward", "kl"):
            number = _number(values.get(name))
            if number is not None:
                self.latest[name] = number

    def result(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return {"steps": optimiser steps of the snapshots, the last one final} and the weights as "s000120/name"."""
        if self.model is None:
            raise RuntimeError("the loop was never called")
        between = sorted(step for step in self.kept if step < self.steps)
        chosen = {step: self.kept[step] for step in evenly(between, self.count - 1, self.steps)}
        chosen[self.steps] = state_of(self.model)
        named = {f"s{step:06d}/{name}": x for step, state in chosen.items() for name, x in state.items()}
        return {"steps": list(chosen)}, named

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if not any(id(p) in self._owned for group in optimizer.param_groups for p in group["params"]):
            return
        self.steps += 1
        if self.steps % self.stride == 0 and self.model is not None:
            self.kept[self.steps] = state_of(self.model)
            if len(self.kept) > 4 * self.count:
                self.stride *= 2
                self.kept = {step: state for step, state in self.kept.items() if step % self.stride == 0}
        if time.monotonic() - self._reported > REPORT_EVERY:
            self._reported = time.monotonic()
            self.report({"step": self.steps, **self.latest})


def evenly(steps: list[int], count: int, last: int) -> list[int]:
    """Choose at most `count` of these steps, those nearest to even spacing between 0 and `last`."""
    targets = [last * (i + 1) / (count + 1) for i in range(count)]
    return sorted({min(steps, key=lambda step: (abs(step - target), step)) for target in targets}) if steps else []


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return number if math.isfinite(number) else None
