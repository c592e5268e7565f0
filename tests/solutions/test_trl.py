"""A second opinion from TRL, where it still has one (its PPO is gone since 1.13)."""

from __future__ import annotations

import pytest
import torch

from solutions.p5_ppo_math import token_logprobs


@pytest.mark.slow  # importing trl takes seconds
def test_log_probabilities_agree_with_trl() -> None:
    from trl.trainer.utils import selective_log_softmax

    generator = torch.Generator().manual_seed(12)
    logits = 7 * torch.randn(3, 5, 11, generator=generator, dtype=torch.float64)
    tokens = torch.randint(0, 11, (3, 5), generator=generator)
    # float64 on both sides: only rounding differs
    assert torch.allclose(token_logprobs(logits, tokens), selective_log_softmax(logits, tokens), rtol=1e-12)
