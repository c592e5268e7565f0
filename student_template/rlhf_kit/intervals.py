"""The uncertainty of a mean, for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor

from .config import EvalConfig


def mean_interval(
    values: Sequence[float] | Tensor, confidence: float = EvalConfig.confidence
) -> tuple[float, float]:
    """Compute a confidence interval of the mean of independent values, such as one reward per prompt.

    It is mean ± z standard errors (1.96 at 95%) and needs some thirty values or more to be trusted.
    values: (N,), of which none is NaN or infinite. Returns (low, high). ValueError with fewer than two values.
    """
    numbers = torch.as_tensor(values, dtype=torch.float64, device="cpu").flatten()
    if len(numbers) < 2:
        raise ValueError(f"an interval takes at least two values, and there are {len(numbers)}")
    if not numbers.isfinite().all():
        raise ValueError("a value is NaN or infinite: find out where it comes from, then ask again")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95; it is {confidence}")
    mean, error = numbers.mean().item(), numbers.std().item() / len(numbers) ** 0.5
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    return mean - reach, mean + reach
