"""AdamW with warm-up and clipping by the global norm, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autograder.slots.oracles.losses import Floats

CLIP_EPS = 1e-6  # as in torch, which divides by norm + 1e-6; leaving it out changes far less than a tolerance


class AdamW:
    """AdamW (Loshchilov & Hutter 2019) on named arrays, which `step` changes in place.

    config: learning_rate, betas, eps, weight_decay, warmup_steps, max_grad_norm. The learning rate of
    update k (0, 1, …) is learning_rate · min(1, (k + 1) / warmup_steps).
    """

    def __init__(self, parameters: dict[str, Floats], config: Any) -> None:
        self.parameters, self.config, self.k = parameters, config, 0
        self.first = {name: np.zeros_like(x) for name, x in parameters.items()}
        self.second = {name: np.zeros_like(x) for name, x in parameters.items()}

    def step(self, gradients: dict[str, Floats]) -> float:
        """Clip the gradients, update every parameter, and return the norm before clipping."""
        c, t = self.config, self.k + 1
        norm = float(np.sqrt(sum((g * g).sum() for g in gradients.values())))
        shrink = min(1.0, c.max_grad_norm / (norm + CLIP_EPS))
        rate = c.learning_rate * min(1.0, t / max(1, c.warmup_steps))
        b1, b2 = c.betas
        for name, x in self.parameters.items():
            g = gradients[name] * shrink
            self.first[name] = b1 * self.first[name] + (1 - b1) * g
            self.second[name] = b2 * self.second[name] + (1 - b2) * g * g
            mean, spread = self.first[name] / (1 - b1**t), np.sqrt(self.second[name] / (1 - b2**t))
            x -= rate * c.weight_decay * x
            x -= rate * mean / (spread + c.eps)
        self.k = t
        return norm
