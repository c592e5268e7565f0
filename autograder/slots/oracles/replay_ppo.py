"""The PPO loop replayed on a bigram policy, from the rollouts that were drawn.

How a phase was cut into minibatches is found out from the weights that came of it: of all ways to choose
the next minibatch from the rows that are left, one explains the observed update.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from autograder.slots.oracles import ppo
from autograder.slots.oracles.adamw import AdamW
from autograder.slots.oracles.losses import Floats, Ints, log_softmax, one_hot
from autograder.slots.oracles.replay import Replay, scatter

BORDER = 1e-5  # a ratio this close to a clip border may fall on either side of it in float32
LM, VALUE = "lm.weight", "value_head.weight"
MAX_CELLS = 1 << 17  # rows times the longest; a case has 120 rows of 12 tokens


@dataclass(frozen=True)
class Phase:
    """One rollout phase laid out by response token: all (N, L), L the longest reply.

    before: the token each response token was drawn after. tokens: the response tokens. mask: 1 on them.
    """

    before: Ints
    tokens: Ints
    mask: Floats


def lay_out(prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> Phase:
    """Replies side by side, left aligned; ValueError if a reply is empty or a prompt is, or if they need more
    room than any rollout of ours: a claim of one endless reply among thousands must not fill the memory."""
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
    """`sure`: how many updates came before the first that rounding may have put across a clip border."""

    sure: int = 0
    unsure: bool = False
    clipped: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Targets:
    """What a phase fixes before its first update: all (N, L)."""

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
    """Every update of T14. policy, reference (V, V) are bigram tables, values (V,) those after a token.

    observed: the weights after each update, (updates, V, V) and (updates, V), used only to tell which
    rows a minibatch held.
    """
    optimizer, replay = AdamW({LM: policy.copy(), VALUE: values.copy()}, config), PPOReplay()
    for phase, score in zip(phases, scores):
        targets = _targets(optimizer, reference, phase, score, config)
        for _ in range(config.ppo_epochs):
            left = list(range(len(score)))
            while left:
                optimizer, rows = _best(optimizer, replay, phase, targets, left, config, observed)
                left = [row for row in left if row not in rows]
    return replay


def _targets(optimizer: AdamW, reference: Floats, phase: Phase, score: Floats, config: Any) -> Targets:
    old = logprobs(optimizer.parameters[LM], phase)
    values = optimizer.parameters[VALUE][phase.before]
    rewards = ppo.shape_rewards(score, old, logprobs(reference, phase), phase.mask, config.beta)
    advantages, returns = ppo.gae(rewards, values, phase.mask, config.gamma, config.lam)
    return Targets(old, values, ppo.whiten(advantages, phase.mask), returns)


def _best(
    optimizer: AdamW,
    replay: PPOReplay,
    phase: Phase,
    targets: Targets,
    left: list[int],
    config: Any,
    observed: Mapping[str, Floats],
) -> tuple[AdamW, tuple[int, ...]]:
    """The optimiser after the minibatch, among those possible, that comes closest to what was observed."""
    k, best = optimizer.k, None
    for rows in _choices(left, config.minibatch_size):
        trial = copy.deepcopy(optimizer)
        found = _update(trial, phase, targets, list(rows), config)
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


def _update(optimizer: AdamW, phase: Phase, targets: Targets, rows: list[int], config: Any) -> dict[str, Any]:
    """One update on these rows, in place; returns the loss and its statistics."""
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
