"""The loops of SFT and the reward model, replayed on probe models whose gradients have a closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograder.oracles.adamw import AdamW
from autograder.oracles.losses import Floats, Ints, bradley_terry, sft_loss

Batch = Mapping[str, np.ndarray]


@dataclass
class Replay:
    """losses (updates,), parameters after each update by name, gradient norms before clipping."""

    losses: list[float] = field(default_factory=list)
    after: dict[str, list[Floats]] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)

    def keep(self, loss: float, norm: float, parameters: Mapping[str, Floats]) -> None:
        """Note one update."""
        self.losses.append(loss)
        self.norms.append(norm)
        for name, x in parameters.items():
            self.after.setdefault(name, []).append(x.copy())


def train_sft(weight: Floats, batches: Sequence[Batch], order: Sequence[int], config: Any) -> Replay:
    """T05 on a bigram model: dL/dweight[v] sums the gradients in the logits where ids = v."""
    optimizer, replay = AdamW({"weight": weight.copy()}, config), Replay()
    for i in order:
        ids, labels = batches[i]["input_ids"], batches[i]["labels"]
        table = optimizer.parameters["weight"]
        loss, gradient = sft_loss(table[ids], labels)
        norm = optimizer.step({"weight": scatter(table, ids, gradient)})
        replay.keep(loss, norm, optimizer.parameters)
    return replay


def train_reward_model(weight: Floats, batches: Sequence[Batch], order: Sequence[int], config: Any) -> Replay:
    """T09 on a table of scores by last attended token."""
    optimizer, replay = AdamW({"weight": weight.copy()}, config), Replay()
    for i in order:
        table = optimizer.parameters["weight"]
        ends = [
            last_tokens(batches[i][f"{s}_input_ids"], batches[i][f"{s}_attention_mask"])
            for s in ("chosen", "rejected")
        ]
        loss, chosen, rejected = bradley_terry(table[ends[0]], table[ends[1]])
        gradient = scatter(table, ends[0], chosen) + scatter(table, ends[1], rejected)
        replay.keep(loss, optimizer.step({"weight": gradient}), optimizer.parameters)
    return replay


def last_tokens(ids: Ints, mask: Ints) -> Ints:
    """The last attended token of each row: (B, T), (B, T) -> (B,)."""
    return np.array([row[on > 0][-1] for row, on in zip(ids, mask)])


def scatter(table: Floats, where: Ints, gradient: Floats) -> Floats:
    """The gradient of a lookup: an array like `table` in which `gradient` is summed by index."""
    out = np.zeros_like(table)
    np.add.at(out, where, gradient)
    return out
