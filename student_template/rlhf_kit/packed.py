"""The lab's GPT-2: the weights, names and results of transformers' GPT2LMHeadModel, without work on padding.

A batch of replies is half padding. Everything but attention looks at one token at a time, so here it runs on the
attended tokens alone, (N, width) for the N ones of the mask; attention needs the rectangle (B, T). At a padded position
hidden states and logits are 0: they have no meaning in the library's model either, and no loss may use them.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model
from transformers.modeling_outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
)

from .packing import KeyValues, Packing

# What transformers calls the keys and values of earlier tokens, in calls and in outputs: `cache` from 5.24 on. There
# the older name warns, and it goes in 5.40.
CACHE = next(
    field.name
    for field in fields(CausalLMOutputWithCrossAttentions)
    if field.name in ("cache", "past_key_values")
)


class PackedGPT2Model(GPT2Model):  # type: ignore[misc]  # transformers is untyped
    """GPT2Model whose forward skips padding.

    Options that the lab does not use are left to the library's forward, and so is training with dropout.
    """

    def forward(
        self,
        input_ids: Tensor | None = None,
        cache: Any = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        **other: Any,
    ) -> Any:
        """Compute hidden states (B, T, width) from token ids and an attention mask, both (B, T). With a cache, the mask
        covers the tokens that were read before too. It may be passed by either of its names."""
        past = cache if cache is not None else other.pop("past_key_values", None)
        found = self.attempt(input_ids, past, attention_mask, position_ids, use_cache, other)
        if found is None:
            return super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                use_cache=use_cache,
                **{CACHE: past},
                **other,
            )
        hidden, packing, filled = found
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=packing.whole.spread(hidden), **{CACHE: filled}
        )

    def attempt(
        self,
        ids: Tensor | None,
        past: Any,
        mask: Tensor | None,
        positions: Tensor | None,
        use_cache: bool | None,
        other: dict[str, Any],
    ) -> tuple[Tensor, Packing, KeyValues | None] | None:
        """Compute `packed`, with the cache, if a call asks for nothing else; None if it does. other: more options."""
        usual = (
            ids is not None
            and ids.dim() == 2
            and not self.drops
            and (past is None or isinstance(past, KeyValues))
            and (mask is None or mask.dim() == 2)
            and not any(value is not None and value is not False for value in other.values())
        )
        if ids is None or not usual:
            return None
        cache = past if past is not None else KeyValues() if use_cache else None
        return *self.packed(ids, mask, positions, cache), cache

    @property
    def drops(self) -> bool:
        """Whether a forward pass would draw dropout masks."""
        c = self.config
        return bool(self.training) and max(c.resid_pdrop, c.embd_pdrop, c.attn_pdrop) > 0

    def packed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor | None,
        cache: KeyValues | None = None,
    ) -> tuple[Tensor, Packing]:
        """Compute the hidden states of the attended tokens alone, (N, width), and where they are.

        Raises:
            ValueError: a sequence is longer than the model's context.
        """
        shape = (input_ids.size(0), input_ids.size(1))
        read = cache.length if cache is not None else 0
        packing = (
            Packing.after(attention_mask, shape)
            if read
            else Packing.of(attention_mask, shape, grouped=cache is None)
        )
        if position_ids is None:  # as in the library: counted from the left edge, padding included
            position_ids = torch.arange(read, read + shape[1], device=input_ids.device)
        places = packing.whole.pack(position_ids.expand(shape))
        limit = self.config.n_positions
        if read + shape[1] > limit and int(places.max()) >= limit:
            raise ValueError(
                f"a sequence has {int(places.max()) + 1} tokens, and this model reads at most {limit}: "
                "shorten it (prompt and reply together)"
            )
        x = self.wte(packing.whole.pack(input_ids)) + self.wpe(places)
        for number, block in enumerate(self.h):
            x = x + self._attend(number, block.attn, block.ln_1(x), packing, cache)
            x = x + block.mlp(block.ln_2(x))
        if cache is not None:
            cache.length += shape[1]
        return self.ln_f(x), packing

    def _attend(
        self, number: int, attention: Any, x: Tensor, packing: Packing, cache: KeyValues | None
    ) -> Tensor:
        """Attend within each row: (N, width) -> (N, width)."""
        width, heads = x.size(-1), self.config.n_head
        joint, out = attention.c_attn(x), []
        for group, part in zip(
            packing.groups, joint.split([g.tokens for g in packing.groups]), strict=True
        ):
            rectangle = group.spread(part).view(*group.shape, 3, heads, width // heads)
            query, key, value = rectangle.permute(2, 0, 3, 1, 4)
            if cache is not None:
                key, value = cache.extend(number, key, value)
            causal = packing.mask is None and group.shape[1] > 1
            mixed = F.scaled_dot_product_attention(
                query, key, value, attn_mask=packing.mask, is_causal=causal
            )
            out.append(group.pack(mixed.transpose(1, 2).flatten(2)))
        together: Tensor = attention.c_proj(out[0] if len(out) == 1 else torch.cat(out))
        return together


class PackedGPT2LMHeadModel(GPT2LMHeadModel):  # type: ignore[misc]  # as above
    """GPT2LMHeadModel that skips padding. Its state dict and its config are those of the library's model."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(config)
        self.transformer = PackedGPT2Model(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        cache: Any = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        **other: Any,
    ) -> Any:
        """Compute logits (B, T, V) from token ids and an attention mask, both (B, T). The cache is that of the body."""
        past = cache if cache is not None else other.pop("past_key_values", None)
        found = self.transformer.attempt(
            input_ids, past, attention_mask, position_ids, use_cache, other
        )
        if found is None:
            return super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                use_cache=use_cache,
                **{CACHE: past},
                **other,
            )
        hidden, packing, filled = found
        return CausalLMOutputWithCrossAttentions(
            logits=packing.whole.spread(self.lm_head(hidden)), **{CACHE: filled}
        )
