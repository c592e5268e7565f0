"""A PPO phase that shows the advantage and the return of each reply.

The policy is uniform, replies have one token, and each prompt has a last token of its own, so that each
row of the bigram table learns from one reply.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .advice import Watch, not_default
from .config import PPOConfig
from .models import freeze
from .table_models import BigramLM, BigramPolicy

VOCAB = 12
LAST = torch.arange(3, 11)  # the last tokens of the 8 prompts


class OneToken:
    """One step of a loop, watched. All tensors have one number per reply, in the order of LAST, (8,).

    body, head: what happened to the table and to the values. replies: the tokens. scores, ratio: of each
    reply, its score and log pi - log pi_ref. reward: the score less beta times the ratio. rows: what the
    loop returns.
    """

    def __init__(self, train_ppo: Callable[..., Any], config: PPOConfig) -> None:
        self.config = config
        self.order: list[int] = []
        self.replies, self.scores = torch.zeros(VOCAB, dtype=torch.long), torch.zeros(VOCAB)
        policy = BigramPolicy(torch.ones(VOCAB, VOCAB)).eval()
        other = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(8))
        prompts = [[2, last] for last in LAST.tolist()]
        with Watch(policy.lm.weight) as self.body, Watch(policy.value_head.weight) as self.head:
            self.rows = train_ppo(policy, freeze(BigramLM(other)), self._score, prompts, config)
        assert sorted(self.order) == LAST.tolist(), (
            f"There are 8 prompts and 8 rollouts; the last tokens of the prompts that you score are {self.order}."
        )
        steps = config.ppo_epochs * config.rollouts // config.minibatch_size
        assert self.body.steps == steps, (
            f"This case has {steps} updates ({not_default(config)}); you make {self.body.steps}."
        )
        self.replies, self.scores = self.replies[LAST], self.scores[LAST]
        self.ratio = math.log(1 / VOCAB) - other.log_softmax(-1)[LAST, self.replies]
        self.reward = self.scores - config.beta * self.ratio

    def _score(self, prompt_ids: list[list[int]], response_ids: list[list[int]]) -> Tensor:
        for prompt, reply in zip(prompt_ids, response_ids, strict=True):
            assert len(reply) == 1, (
                f"config.max_new_tokens is 1; you score a reply of {len(reply)}."
            )
            self.order.append(prompt[-1])
            self.replies[prompt[-1]] = reply[0]
            self.scores[prompt[-1]] = 3 + (7 * prompt[-1] + 3 * reply[0]) % 11 / 4
        return self.scores[[prompt[-1] for prompt in prompt_ids]]

    def advantages(self, step: int) -> Tensor:
        """Return the advantages in the gradient of an update, 0 for replies of other minibatches."""
        gradient = self.body.gradients[step][LAST, self.replies]
        chance = self.body.values[step].softmax(-1)[LAST, self.replies]
        return -gradient * self.config.minibatch_size / (1 - chance)

    def returns(self) -> Tensor:
        """Return the returns in the gradients of the value head, whose values are 0 at first, in one epoch."""
        gradient = torch.stack(self.head.gradients).sum(dim=0)[LAST, 0]
        return -gradient * self.config.minibatch_size / self.config.value_coef


def whitened(x: Tensor, over: Tensor | None = None, unbiased: bool = True) -> Tensor:
    """Return x, (n,), shifted and scaled by mean and standard deviation of `over`, by default of x itself."""
    over = x if over is None else over
    return (x - over.mean()) / over.std(unbiased=unbiased)
