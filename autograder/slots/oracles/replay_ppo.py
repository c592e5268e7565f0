"""The PPO loop replayed on a bigram policy, from the rollouts that the answer reports.

The rows of each minibatch are inferred from the weights: of all choices of the next minibatch from the rows that are
left, the one that explains the observed update best.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.slots.oracles import ppo
from autograder.slots.oracles.adamw import AdamW
from autograder.slots.oracles.losses import Floats, Ints, log_softmax, one_hot
from autograder.slots.oracles.replay import Replay, scatter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BORDER = 1e-5  # a ratio this close to a clip border may be on either side of it in float32
LM, VALUE = "lm.weight", "value_head.weight"
MAX_CELLS = 1 << 17  # rows times the length of the longest; a case has 120 rows of 12 tokens


@dataclass(frozen=True)
class Phase:
    """The response tokens of one rollout phase, all (N, L), where L is the length of the longest reply.

    before: the token each response token was drawn after. tokens: the response tokens. mask: 1 on them.
    """

    before: Ints
    tokens: Ints
    mask: Floats


def lay_out(prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> Phase:
    """Lay out replies as a left-aligned table.

    Raises ValueError if a reply or a prompt is empty, or if the table would have more than MAX_CELLS cells: an answer
    may claim one endless reply among thousands.
    """
    if not replies or any(not r for r in replies) or any(not p for p in prompts):
        raise ValueError("an empty rollout, prompt or reply")
    width = max(len(r) for r in replies)
    if len(replies) * width > MAX_CELLS:
        raise ValueError(f"{len(replies)} replies of up to {width} tokens")
    before, tokens = np.zeros((2, len(replies), width), dtype=np.int64)
    mask = np.zeros((len(replies), width))
    for i, (p, r) in enumerate(zip(prompts, replies, strict=True)):
        before[i, : len(r)], tokens[i, : len(r)], mask[i, : len(r)] = [p[-1], *r[:-1]], r, 1.0
    return Phase(before, tokens, mask)


def logprobs(table: Floats, phase: Phase) -> Floats:
    """Log-probability of each response token under a bigram table, 0 outside the mask: (N, L)."""
    return np.where(phase.mask > 0, log_softmax(table)[phase.before, phase.tokens], 0.0)


@dataclass
class PPOReplay(Replay):
    """A replay of PPO. sure: the number of updates before the first in which rounding may have changed a clip decision.
    unsure: whether there was such an update. clipped: the clip fraction of each update."""

    sure: int = 0
    unsure: bool = False
    clipped: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Targets:
    """What is fixed in a phase before its first update, all (N, L)."""

    phase: Phase
    old: Floats
    values: Floats
    advantages: Floats
    returns: Floats


def train_ppo(
    policy: Floats,
    values: Floats,
    reference: Floats,
    phases: Sequence[Phase],
    scores: Sequence[Floats],
    config: Any,
    observed: Mapping[str, Floats],
) -> PPOReplay:
    """Replay every update of T14. policy, reference (V, V): bigram tables. values (V,): by the last token.

    observed: the weights after each update, (updates, V, V) and (updates, V), used only to infer the rows of each
    minibatch.
    """
    optimizer, replay = AdamW({LM: policy.copy(), VALUE: values.copy()}, config), PPOReplay()
    for phase, score in zip(phases, scores, strict=True):
        targets = _targets(optimizer, reference, phase, score, config)
        for _ in range(config.ppo_epochs):
            left = list(range(len(score)))
            while left:
                optimizer, rows = _best_minibatch(optimizer, replay, targets, left, config, observed)
                left = [row for row in left if row not in rows]
    return replay


def _targets(optimizer: AdamW, reference: Floats, phase: Phase, score: Floats, config: Any) -> Targets:
    old = logprobs(optimizer.parameters[LM], phase)
    values = optimizer.parameters[VALUE][phase.before]
    rewards = ppo.shape_rewards(score, old, logprobs(reference, phase), phase.mask, config.beta)
    advantages, returns = ppo.gae(rewards, values, phase.mask, config.gamma, config.lam)
    return Targets(phase, old, values, ppo.whiten(advantages, phase.mask), returns)


def _best_minibatch(
    optimizer: AdamW, replay: PPOReplay, targets: Targets, left: list[int], config: Any, observed: Mapping[str, Floats]
) -> tuple[AdamW, tuple[int, ...]]:
    """Try each possible minibatch and keep the one whose weights are closest to the observed ones.

    Returns the optimiser after it, and its rows.
    """
    k, best = optimizer.k, None
    for rows in _choices(left, config.minibatch_size):
        trial = copy.deepcopy(optimizer)
        found = _update(trial, targets, list(rows), config)
        far = 0.0
        if k < len(observed[LM]):
            far = max(float(np.abs(trial.parameters[n] - observed[n][k]).max()) for n in (LM, VALUE))
        if best is None or far < best[0]:
            best = (far, rows, trial, found)
    assert best is not None
    _, rows, trial, found = best
    replay.unsure = replay.unsure or found["margin"] < BORDER
    replay.sure += not replay.unsure
    replay.clipped.append(found["clip_fraction"])
    replay.keep(found["loss"], found["norm"], trial.parameters)
    return trial, rows


def _choices(left: list[int], size: int) -> Iterator[tuple[int, ...]]:
    return iter([tuple(left)]) if len(left) <= size else combinations(left, size)


def _update(optimizer: AdamW, targets: Targets, rows: list[int], config: Any) -> dict[str, Any]:
    """Make one update on these rows, in place. Returns the loss with its statistics, and the gradient norm."""
    phase = targets.phase
    part = Phase(phase.before[rows], phase.tokens[rows], phase.mask[rows])
    table, value = optimizer.parameters[LM], optimizer.parameters[VALUE]
    found = ppo.ppo_loss(
        logprobs(table, part),
        targets.old[rows],
        targets.advantages[rows],
        value[part.before],
        targets.values[rows],
        targets.returns[rows],
        part.mask,
        config,
    )
    direction = one_hot(part.tokens, table.shape[1]) - np.exp(log_softmax(table))[part.before]
    found["norm"] = optimizer.step(
        {
            LM: scatter(table, part.before, found["gradient_logprobs"][..., None] * direction),
            VALUE: scatter(value, part.before, found["gradient_values"]),
        }
    )
    return found
