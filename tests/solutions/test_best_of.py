"""Best of n: the reply that the judge likes best among the first n, and what it is really worth."""

from __future__ import annotations

import pytest
import torch

from solutions.p8_curves import best_of


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_best_of_the_first_n_is_found_prompt_by_prompt(n):
    generator = torch.Generator().manual_seed(n)
    scores, gold = (torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    chosen = [max(range(n), key=lambda i: row[i]) for row in scores.tolist()]
    proxy = sum(row[i] for row, i in zip(scores.tolist(), chosen, strict=True)) / 7
    true = sum(row[i] for row, i in zip(gold.tolist(), chosen, strict=True)) / 7
    assert best_of(scores, gold, n) == pytest.approx((proxy, true), rel=1e-12)  # float64
