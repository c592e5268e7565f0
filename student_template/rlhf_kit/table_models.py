"""Models that are lookup tables. Checks and tests train them instead of a transformer.

A bigram model predicts the next token from the last one alone, so that every loss, gradient and update
of a training loop can be worked out by hand. The models are called like the real ones: the kit samples
from them, and `labels=` works as in transformers.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from .models import Policy
from .packed import CACHE


class RowCache:
    """An empty key-value cache: a bigram model needs nothing but the last token."""

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch, which is nothing to do."""

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of cached positions, which is 0."""
        return 0


class BigramLM(nn.Module):
    """A causal language model whose body is a table: logits[b, t] = weight[input_ids[b, t]].

    weight: (V, V). dropout: probability of dropping a logit in train mode. Masks and positions are
    accepted and have no effect.
    """

    def __init__(self, weight: Tensor, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.dropout = nn.Dropout(dropout)
        vocab = weight.shape[0]
        self.config = SimpleNamespace(
            vocab_size=vocab, n_embd=vocab, eos_token_id=0, pad_token_id=1
        )

    @property
    def device(self) -> torch.device:
        """Return the device of the table."""
        return self.weight.device

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """Compute `.logits` (B, T, V) and, if `labels` (B, T) are given, the shifted `.loss`."""
        logits = self.dropout(self.weight[input_ids])
        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
            )
        cache = RowCache() if use_cache else None
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{CACHE: cache})


class BigramPolicy(Policy):
    """A Policy on a bigram model: `.lm` is a BigramLM, `.value_head` a table of one value per token."""

    def __init__(self, weight: Tensor, values: Tensor | None = None, dropout: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.lm = BigramLM(weight, dropout)
        self.value_head = nn.Embedding(weight.shape[0], 1)  # type: ignore[assignment]
        with torch.no_grad():
            self.value_head.weight.zero_()
            if values is not None:
                self.value_head.weight.copy_(values.reshape(-1, 1))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute logits (B, T, V) and values (B, T), which depend on the token at t alone."""
        return self.lm(input_ids).logits, self.value_head(input_ids).squeeze(-1)


class LastTokenReward(nn.Module):
    """A reward model whose score is a table entry of the last attended token, times one number.

    Its parts have the names of the real model's: `.transformer` is the table, (V, 1), and `.score` the
    number, (1, 1). weight: initial table, (V,). head: initial number; without it the number is 1 and is
    not trained.
    """

    def __init__(self, weight: Tensor, head: float | None = None) -> None:
        super().__init__()
        self.transformer = nn.Embedding.from_pretrained(
            weight.detach().clone().reshape(-1, 1), freeze=False
        )
        self.score = nn.Linear(1, 1, bias=False).requires_grad_(head is not None)
        with torch.no_grad():
            self.score.weight.fill_(1.0 if head is None else head)

    @property
    def weight(self) -> Tensor:
        """Return the table as (V,)."""
        table: Tensor = self.transformer.weight
        return table.squeeze(1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score sequences: (B, T), (B, T) -> (B,)."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        last = (positions * attention_mask.long()).argmax(-1)
        scores: Tensor = self.score(self.transformer(input_ids.gather(1, last[:, None])))
        return scores.flatten()
