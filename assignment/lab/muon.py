"""Muon, for the matrices inside a transformer's blocks: every update is made orthogonal, so that all directions of a
matrix learn at one speed and not just those with large gradients.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of the update is that of
Liu et al. 2025, "Muon is scalable for LLM training". `torch.optim.Muon` is not used because it computes in bfloat16,
with which a step on a CPU without bfloat16 arithmetic takes three times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the odd quintic; singular values end between about .7 and 1.2
ITERATIONS = 5
MATCH_ADAMW = 0.2  # root mean square of AdamW's updates, so that rates and weight decay mean what they mean there
ADAMW_BETAS = (0.9, 0.98)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return the nearest semi-orthogonal matrix, nearly: U Vᵀ of the singular value decomposition U S Vᵀ, with singular
    values between about .7 and 1.2 in place of 1. Works on the last two dimensions, (..., n, m)."""
    wide = matrix.size(-2) <= matrix.size(-1)
    turned = matrix if wide else matrix.mT  # the smaller product
    x: Tensor = turned / turned.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide else x.mT


class Muon(Optimizer):
    """Momentum with Nesterov's look-ahead, and orthogonal updates, for parameters that are matrices (n, m).

    A group's `parts` says how many matrices stand side by side in each parameter, (n, parts · k): each is made
    orthogonal by itself. Weight decay is decoupled, as in AdamW.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.95, weight_decay: float = 0.0, parts: int = 1
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "parts": parts})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 (as in Optimizer)
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        mean = state.setdefault("mean", torch.zeros_like(weight))
        mean.lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"])
        update = torch.cat([orthogonalised(part) for part in ahead.chunk(group["parts"], dim=1)], dim=1)
        scale = MATCH_ADAMW * max(weight.shape) ** 0.5
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def blocks_and_rest(
    model: nn.Module, matrix_rate: float, learning_rate: float, weight_decay: float
) -> tuple[Muon, AdamW]:
    """Return the optimizers of a GPT-2: Muon for the matrices inside its blocks, queries, keys and values each by
    themselves, and AdamW for the rest (embeddings, layer norms, biases). Every parameter is in one of the two."""
    named = list(model.named_parameters())
    inside = {name: weight for name, weight in named if ".h." in name and weight.dim() == 2}
    joint = [weight for name, weight in inside.items() if ".c_attn." in name]
    single = [weight for name, weight in inside.items() if ".c_attn." not in name]
    return (
        Muon([{"params": joint, "parts": 3}, {"params": single}], matrix_rate, weight_decay=weight_decay),
        AdamW(
            [weight for name, weight in named if name not in inside],
            learning_rate,
            betas=ADAMW_BETAS,
            weight_decay=weight_decay,
        ),
    )
