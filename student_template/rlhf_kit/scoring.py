"""Scoring replies with a reward model: prompt + reply + EOS in, one number out."""

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
    """Raw scores (N,) of a reward model, on the CPU. A reply without EOS gets one, since it was trained so."""
    device = next(model.parameters()).device
    rows = [
        [*p, *r, *([] if r and r[-1] == EOS_ID else [EOS_ID])] for p, r in zip(prompt_ids, response_ids, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # similar lengths together: less padding
    scores = torch.zeros(len(rows))
    for start in range(0, len(rows), batch_size):
        where = order[start : start + batch_size]
        ids, mask = pad_sequences([rows[i] for i in where], PAD_ID)
        scores[where] = model(input_ids=ids.to(device), attention_mask=mask.to(device)).float().cpu()
    return scores


class RewardFunction:
    """A frozen reward model as PPO sees it: normalised scores, and a penalty where EOS is missing.

    score = (raw - mean) / std - missing_eos_penalty · [reply has no EOS]. `calibrated` takes mean and std
    from replies of the SFT model, so that rewards start near 0 with unit spread whatever the scale of
    the reward model (Stiennon et al. 2020 normalise likewise).
    """

    def __init__(self, model: nn.Module, mean: float, std: float, missing_eos_penalty: float) -> None:
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
        """Normalise on the given replies; ValueError if their scores do not differ at all."""
        raw = score_sequences(freeze(model), prompt_ids, response_ids)
        if not float(raw.std()) > 0:
            raise ValueError("the reward model gives every reply the same score: train it first")
        return cls(model, float(raw.mean()), float(raw.std()), missing_eos_penalty)

    def __call__(self, prompt_ids: Sequence[Sequence[int]], response_ids: Sequence[Sequence[int]]) -> Tensor:
        """Rewards (B,), on the CPU, without gradient."""
        raw = score_sequences(self.model, prompt_ids, response_ids)
        endless = torch.tensor([not r or r[-1] != EOS_ID for r in response_ids], dtype=raw.dtype)
        return (raw - self.mean) / self.std - self.missing_eos_penalty * endless
