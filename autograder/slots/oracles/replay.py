"""The training loops of SFT and the reward model, replayed on small models whose gradients have a closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograder.slots.oracles.adamw import AdamW
from autograder.slots.oracles.losses import Floats, Ints, bradley_terry, sft_loss

Batch = Mapping[str, np.ndarray]


@dataclass
class Replay:
    """A replayed training: losses, parameters after each update (by name), gradient norms before clipping."""

    losses: list[float] = field(default_factory=list)
    after: dict[str, list[Floats]] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)

    def keep(self, loss: float, norm: float, parameters: Mapping[str, Floats]) -> None:
        """Record one update."""
        self.losses.append(loss)
        self.norms.append(norm)
        for name, x in parameters.items():
            self.after.setdefault(name, []).append(x.copy())


def train_sft(start: Mapping[str, Floats], batches: Sequence[Batch], order: Sequence[int], config: Any) -> Replay:
    """T05 on a bigram model: dL/dweight[v] is the sum of the gradients in the logits where ids = v.

    start: weight (V, V). order: the indices of the batches, one per update.
    """
    optimizer, replay = AdamW({name: x.copy() for name, x in start.items()}, config), Replay()
    for i in order:
        ids, labels = batches[i]["input_ids"], batches[i]["labels"]
        table = optimizer.parameters["weight"]
        loss, gradient = sft_loss(table[ids], labels)
        norm = optimizer.step({"weight": scatter(table, ids, gradient)})
        replay.keep(loss, norm, optimizer.parameters)
    return replay


def train_reward_model(
    start: Mapping[str, Floats], batches: Sequence[Batch], order: Sequence[int], config: Any
) -> Replay:
    """T09 on scores h · e[v], where v is the last attended token.

    start: transformer.weight e (V, 1) and score.weight h (1, 1). order: the indices of the batches, one per update.
    """
    optimizer, replay = AdamW({name: x.copy() for name, x in start.items()}, config), Replay()
    for i in order:
        table, head = (optimizer.parameters[name] for name in ("transformer.weight", "score.weight"))
        ends = [
            last_tokens(batches[i][f"{s}_input_ids"], batches[i][f"{s}_attention_mask"]) for s in ("chosen", "rejected")
        ]
        states = [table[end, 0] for end in ends]
        loss, *sides = bradley_terry(*(head[0, 0] * state for state in states))
        gradients = {
            "transformer.weight": head
            * sum(scatter(table, end, side[:, None]) for end, side in zip(ends, sides, strict=True)),
            "score.weight": np.full(
                (1, 1), sum((state * side).sum() for state, side in zip(states, sides, strict=True))
            ),
        }
        replay.keep(loss, optimizer.step(gradients), optimizer.parameters)
    return replay


def last_tokens(ids: Ints, mask: Ints) -> Ints:
    """The last attended token of each row: (B, T), (B, T) -> (B,)."""
    return np.array([row[on > 0][-1] for row, on in zip(ids, mask, strict=True)])


def scatter(table: Floats, where: Ints, gradient: Floats) -> Floats:
    """The gradient of a table lookup: `gradient` summed by index, in an array shaped like `table`."""
    out = np.zeros_like(table)
    np.add.at(out, where, gradient)
    return out
