"""What a public check says when a number is wrong.

A cause is named only if it alone gives the number that was seen. Otherwise the check says what it saw
and what it expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

Numbers = float | Tensor | Iterable[Any]
Causes = Mapping[str, Numbers] | Iterable[tuple[str, Numbers]]
SHOWN = 8  # of longer lists, a message shows the number that is most off


def near(seen: Numbers, wanted: Numbers, within: float = 1e-4) -> bool:
    """Return whether two numbers, or all numbers of two lists or tensors of one shape, are equal.

    within: the allowed difference, relative to `wanted` where that is above 1.
    """
    a, b = _tensor(seen), _tensor(wanted)
    if a.shape != b.shape:
        return False
    close = (a - b).abs() <= within * b.abs().clamp(min=1)
    return bool(((close & b.isfinite()) | (a == b)).all())


def explain(
    seen: Numbers, wanted: Numbers, where: str, causes: Causes = (), within: float = 1e-4
) -> str:
    """Say why `seen` is not `wanted`.

    where: the input, with its shape. causes: what the student reads, and the numbers that this mistake
    gives here. A text may occur twice, if its mistake has two forms.
    """
    pairs = causes.items() if isinstance(causes, Mapping) else causes
    named = list(dict.fromkeys(text for text, numbers in pairs if near(seen, numbers, within)))
    saw = f"{where}: {_difference(_tensor(seen), _tensor(wanted))} (within {within:g})."
    return f"{named[0]} {saw}" if len(named) == 1 else saw


def show(numbers: Numbers) -> str:
    """Write numbers with four digits, and lists of them in brackets."""
    found = _tensor(numbers)
    if found.dim() == 0:
        return f"{float(found):.4g}"
    return f"[{', '.join(show(x) for x in found)}]"


def not_default(config: Any) -> str:
    """Write the fields of a config that differ from their defaults."""
    found = {f.name: getattr(config, f.name) for f in fields(config)}
    usual = {f.name: f.default for f in fields(config)}
    return ", ".join(f"{name}={x}" for name, x in found.items() if x != usual[name])


def check_reports(
    updates: int, losses: Sequence[Any], calls: Sequence[tuple[int, int, Any]]
) -> None:
    """Check what a loop reports of two batches and three epochs.

    updates: optimiser steps made. losses: what the loop returns. calls: for each call of on_step, the
    updates made before it, the step and the loss that it was given.
    """
    assert len(losses) == 6, (
        "config.epochs asks for more passes over the batches than you make."
        if updates == len(losses) < 6
        else f"Two batches and three epochs: 6 updates and a loss for each. You make {updates} updates and return "
        f"{len(losses)} losses."
    )
    assert not any(getattr(x, "requires_grad", False) for x in losses), (
        "Store plain numbers (.item()), else every graph stays in memory."
    )
    steps = [step for _, step, _ in calls]
    assert steps == list(range(6)), (
        f"Call on_step(step, loss) after each update, step = 0, 1, … 5; yours are {steps}."
    )
    assert near([loss for *_, loss in calls], losses, 0.0), (
        "on_step gets the same loss that you return."
    )
    done = [made for made, *_ in calls]
    assert done != list(range(6)), "Call on_step after the update, not before."


def _difference(seen: Tensor, wanted: Tensor) -> str:
    if seen.shape != wanted.shape:
        return f"you have the shape {tuple(seen.shape)}, expected {tuple(wanted.shape)}"
    if seen.numel() <= SHOWN:
        return f"you have {show(seen)}, expected {show(wanted)}"
    gap = (seen - wanted).abs().nan_to_num(float("inf")).flatten()
    worst = int(gap.argmax())
    place = [int(i) for i in torch.unravel_index(torch.tensor(worst), seen.shape)]
    found, right = seen.flatten()[worst], wanted.flatten()[worst]
    return f"at {place} you have {show(found)}, expected {show(right)}"


def _tensor(numbers: Numbers) -> Tensor:
    if isinstance(numbers, Tensor):
        return numbers.detach().double().cpu()
    if isinstance(numbers, Iterable):
        return torch.tensor([float(x) for x in numbers], dtype=torch.float64)
    return torch.tensor(float(numbers), dtype=torch.float64)


class Watch:
    """Counts what happens to one weight while a loop runs, however the loop is written.

    steps: optimiser steps. held: those whose optimiser holds the weight. used: those with a gradient on
    it that is not 0. backwards, taught: backward passes that reach it, and those that bring a gradient
    that is not 0. rate: the highest learning rate. values: the weight before each step, and at the end.
    gradients: what the backward passes before each step bring, whatever is done with it afterwards.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight, self.start = weight, weight.detach().clone()
        self.values: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self._arrived = torch.zeros_like(self.start)
        self.steps = self.held = self.used = self.backwards = self.taught = 0
        self.rate = 0.0

    def __enter__(self) -> Self:
        self._hooks = [
            register_optimizer_step_pre_hook(self._step),
            self.weight.register_hook(self._backward),
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self.values.append(self.weight.detach().clone())

    def _step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self.values.append(self.weight.detach().clone())
        self.gradients.append(self._arrived)
        self._arrived = torch.zeros_like(self.start)
        gradient = self.weight.grad
        self.steps += 1
        self.held += any(p is self.weight for g in optimizer.param_groups for p in g["params"])
        self.used += gradient is not None and bool(gradient.any())
        self.rate = max(self.rate, *(float(g["lr"]) for g in optimizer.param_groups))

    def _backward(self, gradient: Tensor) -> None:
        self.backwards += 1
        self.taught += bool(gradient.any())
        self._arrived = self._arrived + gradient

    @property
    def learned(self) -> bool:
        """Return whether the weight has changed, by a gradient if the optimiser is PyTorch's."""
        return not torch.equal(self.weight.detach(), self.start) and bool(
            self.used or not self.steps
        )

    def why_not(self, what: str, no_step: str, not_held: str) -> str:
        """Say why the weight did not learn. what: its name. The other two: what to say in these cases."""
        if not self.steps:
            return no_step
        if not self.held:
            return not_held
        if not self.backwards:
            return f"The optimiser makes its steps, but no backward pass of yours reaches {what}."
        if not self.taught:
            return f"A backward pass reaches {what}, but brings a gradient of 0: your loss does not depend on it here."
        if not self.used:
            return "You erase the gradient before using it."
        return (
            f"{self.steps} optimiser steps did not move {what}; their highest learning rate was "
            f"{self.rate:g}."
        )
