"""Where the attended tokens of a padded batch are, and the keys and values of tokens that were read before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Columns by which a full cache grows. More would be copied in vain when rows leave the batch.
GROWTH = 16
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
            whole = Group(shape, None)
            return cls(whole, (whole,))
        seen = attention_mask != 0
        # padding on the right: no token before it can see it
        if grouped and bool((seen[:, 1:] <= seen[:, :-1]).all()):
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
