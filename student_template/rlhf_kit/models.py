"""The models of the lab: base model, policy with value head, and base class of the reward model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Self, TypeVar

import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging

from .packed import PackedGPT2LMHeadModel

BASE_MODEL = Path(__file__).parent / "base_model"
HEAD_STD = (
    0.02  # scores are small at the start, so that the first Bradley–Terry loss is close to ln 2
)

M = TypeVar("M", bound=nn.Module)


def load_tokenizer(path: Path = BASE_MODEL) -> PreTrainedTokenizerFast:
    """Load the lab's byte-level BPE tokenizer, whose pad and EOS are different tokens."""
    return PreTrainedTokenizerFast.from_pretrained(path)


def load_base_model(path: Path = BASE_MODEL) -> GPT2LMHeadModel:
    """Load the pre-trained base model (GPT-2 architecture, dropout 0) in eval mode, on the CPU."""
    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # its bar would be there for a moment, and stay in the saved notebook
    try:
        model: GPT2LMHeadModel = PackedGPT2LMHeadModel.from_pretrained(path)
    finally:
        if shows_bars:
            logging.enable_progress_bar()
    return model.eval()


def position_ids(attention_mask: Tensor) -> Tensor:
    """Number the attended tokens of each row from 0: (B, T) -> (B, T).

    GPT-2 numbers positions from the left edge, which is wrong with left padding: pass these instead.
    """
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)


def freeze(module: M) -> M:
    """Put a module into eval mode and turn its gradients off, in place, and return it."""
    return module.eval().requires_grad_(False)


def trainable_copy(module: M) -> M:
    """Return a deep copy with gradients on. It shares no storage with the original."""
    return copy.deepcopy(module).requires_grad_(True)


class Policy(nn.Module):
    """A language model with a scalar value head on its last hidden state.

    lm: the GPT2LMHeadModel that generates, a copy of the given one. value_head: Linear(width, 1), zero
    at the start, so that the first advantages are computed from the rewards alone.
    """

    def __init__(self, lm: GPT2LMHeadModel) -> None:
        super().__init__()
        self.lm = trainable_copy(lm)
        self.value_head = nn.Linear(lm.config.n_embd, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.to(lm.device)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits (B, T, V) and values (B, T), with position ids from the mask."""
        positions = position_ids(attention_mask)
        if isinstance(self.lm, PackedGPT2LMHeadModel) and not self.lm.transformer.drops:
            hidden, packing = self.lm.transformer.packed(input_ids, attention_mask, positions)
            logits, values = self.lm.lm_head(hidden), self.value_head(hidden)
            return packing.whole.spread(logits), packing.whole.spread(values).squeeze(-1)
        hidden = self.lm.transformer(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=positions
        ).last_hidden_state
        return self.lm.lm_head(hidden), self.value_head(hidden).squeeze(-1)


class RewardModelBase(nn.Module):
    """Base class of the reward model: a GPT-2 body and one linear head. `forward` is slot T06."""

    def __init__(self, lm: GPT2LMHeadModel, seed: int = 0) -> None:
        super().__init__()
        self.transformer = trainable_copy(lm.transformer)
        self.score = nn.Linear(lm.config.n_embd, 1)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.score.weight.copy_(
                HEAD_STD * torch.randn(self.score.weight.shape, generator=generator)
            )
            self.score.bias.zero_()
        self.to(lm.device)

    @classmethod
    def from_lm(cls, lm: GPT2LMHeadModel, seed: int = 0) -> Self:
        """Make a reward model from a copy of a language model's body. seed: draws the head's weights."""
        return cls(lm, seed)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score sequences: (B, T), (B, T) -> (B,)."""
        raise NotImplementedError("T06: RewardModel.forward is yours to write")
