"""Score replies with a reward model: one number for prompt + reply + EOS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .batching import pad_sequences
from .models import freeze
from .sampling import EOS_ID, PAD_ID


@torch.no_grad()
def score_sequences(
    model: nn.Module,
    prompt_ids: Sequence[Sequence[int]],
    response_ids: Sequence[Sequence[int]],
    batch_size: int = 128,
) -> Tensor:
    """Return the raw scores (N,), on the CPU. A missing EOS is appended, because training had one."""
    device = next(model.parameters()).device
    rows = [
        [*p, *r, *([] if r and r[-1] == EOS_ID else [EOS_ID])]
        for p, r in zip(prompt_ids, response_ids, strict=True)
    ]
    order = sorted(
        range(len(rows)), key=lambda i: len(rows[i])
    )  # similar lengths together, for less padding
    scores = torch.zeros(len(rows))
    for start in range(0, len(rows), batch_size):
        where = order[start : start + batch_size]
        ids, mask = pad_sequences([rows[i] for i in where], PAD_ID)
        scores[where] = (
            model(input_ids=ids.to(device), attention_mask=mask.to(device)).float().cpu()
        )
    return scores


class RewardFunction:
    """The reward of PPO: a frozen reward model with normalised scores, and a penalty for a missing EOS.

    reward = (raw - mean) / std - missing_eos_penalty · [reply has no EOS]. `calibrated` takes mean and std
    from replies of the SFT model, so that rewards start near 0 with spread 1 whatever the scale of the
    reward model (as in Stiennon et al. 2020).
    """

    def __init__(
        self, model: nn.Module, mean: float, std: float, missing_eos_penalty: float
    ) -> None:
        self.model, self.mean, self.std = freeze(model), mean, std
        self.missing_eos_penalty = missing_eos_penalty

    @classmethod
    def calibrated(
        cls,
        model: nn.Module,
        prompt_ids: Sequence[Sequence[int]],
        response_ids: Sequence[Sequence[int]],
        missing_eos_penalty: float,
    ) -> RewardFunction:
        """Take mean and std from the given replies. ValueError if their scores do not differ."""
        raw = score_sequences(freeze(model), prompt_ids, response_ids)
        if not float(raw.std()) > 0:
            raise ValueError("the reward model gives every reply the same score: train it first")
        return cls(model, float(raw.mean()), float(raw.std()), missing_eos_penalty)

    def __call__(
        self, prompt_ids: Sequence[Sequence[int]], response_ids: Sequence[Sequence[int]]
    ) -> Tensor:
        """Compute the rewards (B,), on the CPU and without gradient."""
        raw = score_sequences(self.model, prompt_ids, response_ids)
        endless = torch.tensor([not r or r[-1] != EOS_ID for r in response_ids], dtype=raw.dtype)
        return (raw - self.mean) / self.std - self.missing_eos_penalty * endless
