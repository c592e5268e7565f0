"""Which of the optimiser's rules a training loop breaks, by the weights that it leaves behind.

The checks train tables whose gradients are known. So the weights after some updates follow from the
rules of the update alone: settings, warm-up, clipping, cleared gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from .advice import explain, near
from .config import PPOConfig, StageConfig

MOST_FAULTS = 3  # so many mistakes at once are told apart
WITHIN = 2e-5


@dataclass(frozen=True)
class Rules:
    """How a loop updates a weight.

    first: factor of the warm-up's first update, in units of 1 / warmup_steps, None without warm-up.
    rising: whether the factor grows. clip_each: whether each number is clipped, not the norm. piled:
    whether gradients add up. scale: of the gradient. kind: AdamW, Adam or SGD.
    """

    learning_rate: float
    warmup_steps: int
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    max_grad_norm: float
    first: int | None = 1
    rising: bool = True
    clip_each: bool = False
    piled: bool = False
    scale: float = 1.0
    kind: str = "AdamW"

    @classmethod
    def of(cls, config: StageConfig | PPOConfig) -> Rules:
        """Return the rules that a config asks for."""
        names = ("learning_rate", "warmup_steps", "betas", "eps", "weight_decay", "max_grad_norm")
        return cls(**{name: getattr(config, name) for name in names})

    def rate(self, update: int) -> float:
        """Return the learning rate of update 0, 1, …"""
        if self.first is None:
            return self.learning_rate
        done = self.first + (update if self.rising else 0)
        return self.learning_rate * min(1.0, done / self.warmup_steps)


def after_updates(start: Tensor, gradients: Sequence[Tensor], rules: Rules) -> Tensor:
    """Return the weights after one update per gradient, all of one shape."""
    weight, held = start.double().clone(), torch.zeros_like(start, dtype=torch.float64)
    mean, square = torch.zeros_like(held), torch.zeros_like(held)
    for k, gradient in enumerate(gradients):
        held = rules.scale * gradient.double() + (held if rules.piled else 0.0)
        if rules.clip_each:
            held = held.clamp(-rules.max_grad_norm, rules.max_grad_norm)
        else:
            held = held * min(1.0, rules.max_grad_norm / max(float(held.norm()), 1e-12))
        shrink = rules.rate(k) * rules.weight_decay
        used = held
        if rules.kind == "AdamW":
            weight = weight * (1 - shrink)
        else:
            used = held + rules.weight_decay * weight
        (b1, b2), steps = rules.betas, k + 1
        mean, square = b1 * mean + (1 - b1) * used, b2 * square + (1 - b2) * used**2
        adam = mean / (1 - b1**steps) / ((square / (1 - b2**steps)).sqrt() + rules.eps)
        weight = weight - rules.rate(k) * (used if rules.kind == "SGD" else adam)
    return weight


BETAS, EPS, DECAY = {"betas": (0.9, 0.999)}, {"eps": 1e-8}, {"weight_decay": 0.01}  # PyTorch's own
FAULTS: dict[str, dict[str, Any]] = {
    "The first updates are as large as all others: where does config.warmup_steps come in?": {
        "first": None
    },
    "Your first update has learning rate 0: the factor of step k is counted from k + 1.": {
        "first": 0
    },
    "Each update has the learning rate of the next one: when does the schedule move on?": {
        "first": 2
    },
    "All updates have the learning rate of the first: what moves the schedule on?": {
        "rising": False
    },
    "config.learning_rate does not reach the optimiser.": {"learning_rate": 1e-3},
    "config.betas does not reach the optimiser.": BETAS,
    "config.eps does not reach the optimiser.": EPS,
    "config.weight_decay does not reach the optimiser.": DECAY,
    "Check which settings of config reach the optimiser: only the learning rate seems to.": {
        **BETAS,
        **EPS,
        **DECAY,
    },
    "Check the class of the optimiser: weight decay is not the same thing in all of them.": {
        "kind": "Adam"
    },
    "Your update is the rate times the gradient: that is plain gradient descent, not AdamW.": {
        "kind": "SGD"
    },
    "Your update is the rate times the gradient, without weight decay: that is not AdamW.": {
        "kind": "SGD",
        "weight_decay": 0.0,
    },
    "There is no weight decay in your updates.": {"weight_decay": 0.0},
    "Gradients pile up from step to step.": {"piled": True},
    "config.max_grad_norm has no effect on your updates: do you clip with this number, and is there a gradient "
    "to clip at that moment?": {"max_grad_norm": float("inf")},
    "You clip each number of the gradient; the norm of the whole gradient is asked for.": {
        "clip_each": True
    },
    "Each update goes the wrong way: a sign is flipped, or two inputs are swapped.": {
        "scale": -1.0
    },
}


def explain_updates(
    seen: Tensor, start: Tensor, gradients: Sequence[Tensor], rules: Rules, where: str
) -> str:
    """Name the smallest set of faults that leaves these weights behind, or say what was seen.

    seen, start: weights after and before, of the gradients' shape. where: the input, with its shape.
    """
    wanted = after_updates(start, gradients, rules)
    for size in range(1, MOST_FAULTS + 1):
        causes = {
            " ".join(faults): after_updates(start, gradients, replace(rules, **changes))
            for faults in combinations(FAULTS, size)
            if (changes := _together(faults)) is not None
        }
        if any(near(seen, numbers, WITHIN) for numbers in causes.values()):
            return explain(seen, wanted, where, causes, WITHIN)
    return explain(seen, wanted, where, within=WITHIN)


def _together(faults: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the changes of several faults, None if two of them change the same rule."""
    changes: dict[str, Any] = {}
    for fault in faults:
        if changes.keys() & FAULTS[fault].keys():
            return None
        changes |= FAULTS[fault]
    return changes
