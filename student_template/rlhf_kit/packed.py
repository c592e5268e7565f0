"""The lab's GPT-2: the weights, names and results of transformers' GPT2LMHeadModel, without work on padding.

A batch of replies is half padding. Everything but attention looks at one token at a time, so here it runs on the
attended tokens alone, (N, width) for the N ones of the mask; attention needs the rectangle (B, T). At a padded position
hidden states and logits are 0: they have no meaning in the library's model either, and no loss may use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model
from transformers.modeling_outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
)

GROWTH = 64  # columns by which a full cache grows
GROUP = 16  # rows of similar length that attention takes together


@dataclass(frozen=True)
class Group:
    """Rows of a batch that attention takes together, as one rectangle (rows, columns). places: where their attended
    tokens are in the flattened rectangle, (n,), None if everywhere."""

    shape: tuple[int, int]
    places: Tensor | None

    @property
    def tokens(self) -> int:
        """Return the number of attended tokens."""
        return self.shape[0] * self.shape[1] if self.places is None else self.places.numel()

    def spread(self, x: Tensor) -> Tensor:
        """Put the attended tokens into the rectangle, with 0 elsewhere: (n, width) -> (rows, columns, width)."""
        if self.places is not None:
            x = x.new_zeros(self.shape[0] * self.shape[1], x.size(-1)).index_copy(0, self.places, x)
        return x.view(*self.shape, x.size(-1))

    def pack(self, x: Tensor) -> Tensor:
        """Take the attended tokens of the rectangle: (rows, columns, …) -> (n, …)."""
        flat = x.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)


@dataclass(frozen=True)
class Packing:
    """Where the attended tokens of a batch (B, T) are. whole: the batch as one rectangle. groups: what attention takes
    together, in the order of the packed tokens. mask: which keys a query sees, bool, broadcast to (B, heads, T, keys);
    None if the causal order alone decides."""

    whole: Group
    groups: tuple[Group, ...]
    mask: Tensor | None = None

    @classmethod
    def of(
        cls, attention_mask: Tensor | None, shape: tuple[int, int], *, grouped: bool = True
    ) -> Packing:
        """Describe a batch by its attention mask (B, T), or by its shape if no token is padding. grouped: whether rows
        of similar length may be taken together, which a cache does not allow."""
        if attention_mask is None or bool((attention_mask != 0).all()):
            return cls(Group(shape, None), (Group(shape, None),))
        seen = attention_mask != 0
        if grouped and bool(
            (seen[:, 1:] <= seen[:, :-1]).all()
        ):  # padding on the right: no token before it can see it
            return cls._by_length(seen)
        whole = Group(shape, seen.flatten().nonzero().squeeze(-1))
        causal = torch.ones(shape[1], shape[1], dtype=torch.bool, device=seen.device).tril()
        # every query sees itself, so that no row of the softmax is empty: that would be NaN
        itself = torch.eye(shape[1], dtype=torch.bool, device=seen.device)
        return cls(whole, (whole,), ((causal & seen[:, None, :]) | itself)[:, None])

    @classmethod
    def _by_length(cls, seen: Tensor) -> Packing:
        """Describe a batch whose padding is on the right: its tokens are packed row by row, the longest row first."""
        lengths, order = seen.sum(1).sort(descending=True, stable=True)
        columns = torch.arange(seen.size(1), device=seen.device)
        groups, places = [], []
        for rows, sizes in zip(order.split(GROUP), lengths.split(GROUP), strict=True):
            inside = columns[: int(sizes[0])] < sizes[:, None]
            groups.append(
                Group((inside.size(0), inside.size(1)), inside.flatten().nonzero().squeeze(-1))
            )
            places.append((rows[:, None] * seen.size(1) + columns[: inside.size(1)])[inside])
        return cls(Group((seen.size(0), seen.size(1)), torch.cat(places)), tuple(groups))

    @classmethod
    def after(cls, attention_mask: Tensor | None, shape: tuple[int, int]) -> Packing:
        """Describe one new token a row, after others that the mask (B, columns) covers too. All of them are attended.

        Raises:
            ValueError: more than one new token.
        """
        if shape[1] != 1:
            raise ValueError(f"a cache is continued by one token a row, not by {shape[1]}")
        whole = Group(shape, None)
        if attention_mask is None or bool((attention_mask != 0).all()):
            return cls(whole, (whole,))
        return cls(whole, (whole,), (attention_mask != 0)[:, None, None, :])


class KeyValues:
    """Keys and values of every layer for tokens that were read, (B, heads, columns, head width) each, with room."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.length = 0  # columns in use, the same in every layer

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new tokens to a layer, and return all that it holds."""
        end = self.length + keys.size(2)
        if layer == len(self.layers):
            self.layers.append((_with_room(keys), _with_room(values)))
        elif end > self.layers[layer][0].size(2):
            self.layers[layer] = (
                _with_room(self.layers[layer][0]),
                _with_room(self.layers[layer][1]),
            )
        for held, new in zip(self.layers[layer], (keys, values), strict=True):
            held[:, :, self.length : end] = new
        held_keys, held_values = self.layers[layer]
        return held_keys[:, :, :end], held_values[:, :, :end]

    def batch_select_indices(self, rows: Tensor) -> None:
        """Keep these rows of the batch alone, as transformers' caches do."""
        self.layers = [(k.index_select(0, rows), v.index_select(0, rows)) for k, v in self.layers]

    def get_seq_length(self) -> int:
        """Return the number of columns in use."""
        return self.length


def _with_room(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 0, GROWTH))


def _usual(ids: Tensor | None, past: Any, mask: Tensor | None, other: dict[str, Any]) -> bool:
    """Whether a call asks for nothing but what this module computes."""
    return (
        ids is not None
        and ids.dim() == 2
        and (past is None or isinstance(past, KeyValues))
        and (mask is None or mask.dim() == 2)
        and not any(value is not None and value is not False for value in other.values())
    )


class PackedGPT2Model(GPT2Model):
    """GPT2Model whose forward skips padding. Options that the lab does not use are left to the library's forward, and so
    is training with dropout."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: Any = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        **other: Any,
    ) -> Any:
        """Compute hidden states (B, T, width) from token ids and an attention mask, both (B, T). With a cache, the mask
        covers the tokens that were read before too."""
        if self.drops or not _usual(input_ids, past_key_values, attention_mask, other):
            return super().forward(
                input_ids=input_ids,
                past_key_values=past_key_values,
                attention_mask=attention_mask,
                position_ids=position_ids,
                use_cache=use_cache,
                **other,
            )
        cache = (
            past_key_values if past_key_values is not None else KeyValues() if use_cache else None
        )
        hidden, packing = self.packed(input_ids, attention_mask, position_ids, cache)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=packing.whole.spread(hidden), past_key_values=cache
        )

    @property
    def drops(self) -> bool:
        """Whether a forward pass would draw dropout masks."""
        c = self.config
        return self.training and max(c.resid_pdrop, c.embd_pdrop, c.attn_pdrop) > 0

    def packed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor | None,
        cache: KeyValues | None = None,
    ) -> tuple[Tensor, Packing]:
        """Compute the hidden states of the attended tokens alone, (N, width), and where they are."""
        shape = (input_ids.size(0), input_ids.size(1))
        read = cache.length if cache is not None else 0
        packing = (
            Packing.after(attention_mask, shape)
            if read
            else Packing.of(attention_mask, shape, grouped=cache is None)
        )
        if position_ids is None:  # as in the library: counted from the left edge, padding included
            position_ids = torch.arange(read, read + shape[1], device=input_ids.device).expand(
                shape
            )
        x = self.wte(packing.whole.pack(input_ids)) + self.wpe(
            packing.whole.pack(position_ids.expand(shape))
        )
        for number, block in enumerate(self.h):
            x = x + self._attend(number, block.attn, block.ln_1(x), packing, cache)
            x = x + block.mlp(block.ln_2(x))
        if cache is not None:
            cache.length += shape[1]
        return self.ln_f(x), packing

    def _attend(
        self,
        number: int,
        attention: nn.Module,
        x: Tensor,
        packing: Packing,
        cache: KeyValues | None,
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
        return attention.c_proj(out[0] if len(out) == 1 else torch.cat(out))


class PackedGPT2LMHeadModel(GPT2LMHeadModel):
    """GPT2LMHeadModel that skips padding. Its state dict and its config are those of the library's model."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(config)
        self.transformer = PackedGPT2Model(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: Any = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        **other: Any,
    ) -> Any:
        """Compute logits (B, T, V) from token ids and an attention mask, both (B, T)."""
        if self.transformer.drops or not _usual(input_ids, past_key_values, attention_mask, other):
            return super().forward(
                input_ids=input_ids,
                past_key_values=past_key_values,
                attention_mask=attention_mask,
                position_ids=position_ids,
                use_cache=use_cache,
                **other,
            )
        cache = (
            past_key_values if past_key_values is not None else KeyValues() if use_cache else None
        )
        hidden, packing = self.transformer.packed(input_ids, attention_mask, position_ids, cache)
        return CausalLMOutputWithCrossAttentions(
            logits=packing.whole.spread(self.lm_head(hidden)), past_key_values=cache
        )
