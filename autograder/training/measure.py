"""Measurements on the grader's models: log-likelihoods, scores, coupled samples. Forward passes are in float32 on the
CPU, in batches of similar length; sums are in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

import rlhf_kit as kit
from rlhf_kit.sampling import sample_batch

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from autograder.reference.models import TrustedRewardModel

BATCH = 128
SHARED, FIRST, SECOND = range(3)  # where a token of two sequences in one row belongs
Ids = Sequence[int]


@dataclass(frozen=True)
class Likelihood:
    """Likelihood of each reply under a model, (N,). total: sum of log-probabilities (nats). tokens: how many. entropy,
    variance: what is expected of a reply that the model sampled, as sums over its tokens: the entropies (nats) and the
    variances of the log-probability (nats²)."""

    total: np.ndarray
    tokens: np.ndarray
    entropy: np.ndarray
    variance: np.ndarray

    @property
    def nll(self) -> np.ndarray:
        """Return the mean negative log-likelihood per token of each reply, nats, (N,)."""
        mean: np.ndarray = -self.total / np.maximum(self.tokens, 1)
        return mean

    def per_token(self, n: int | None = None) -> float:
        """Return the mean negative log-likelihood over all tokens of the first n replies (all, if None), nats."""
        return -float(self.total[:n].sum() / self.tokens[:n].sum())

    def typicality(self) -> float:
        """Return how far the replies are from samples of the model at temperature 1, in standard errors: negative if
        they are too likely (greedy decoding, for example), positive if they are too unlikely.

        Given its prefix, the expected surprise of a sampled token is the entropy. So the differences are a martingale:
        no samples are needed for comparison, and it does not matter that replies end at the maximal length.
        """
        return float(-(self.total + self.entropy).sum() / max(float(np.sqrt(self.variance.sum())), 1e-9))


@torch.no_grad()
def likelihood(lm: GPT2LMHeadModel, prompts: Sequence[Ids], replies: Sequence[Ids]) -> Likelihood:
    """Compute the log-likelihood of replies given their prompts. An empty reply has 0 nats and 0 tokens."""
    found = np.zeros((3, len(prompts)))
    tokens = np.array([len(reply) for reply in replies], dtype=np.int64)
    for where in _by_length([len(p) + len(r) for p, r in zip(prompts, replies, strict=True)]):
        batch = kit.lay_out([prompts[i] for i in where], [replies[i] for i in where])
        hidden = lm.transformer(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
        ).last_hidden_state
        inside = batch.response_mask[:, 1:].bool()
        logits = lm.lm_head(hidden[:, :-1][inside])  # the vocabulary is large: only where tokens of replies are scored
        logprobs, targets = logits.log_softmax(dim=1), batch.input_ids[:, 1:][inside]
        chosen = logprobs.gather(1, targets.unsqueeze(1)).squeeze(1)
        probabilities = logprobs.exp()
        entropy = -(probabilities * logprobs).sum(dim=1)
        variance = (probabilities * logprobs.square()).sum(dim=1) - entropy.square()
        sums = torch.zeros(3, len(where), dtype=torch.float64)
        parts = torch.stack([chosen, entropy, variance.clamp(min=0)]).double()
        found[:, where] = sums.index_add_(1, inside.nonzero()[:, 0], parts).numpy()
    return Likelihood(found[0], tokens, found[1], found[2])


@torch.no_grad()
def scores(model: nn.Module, rows: Sequence[Ids]) -> np.ndarray:
    """Return the raw scores (N,) of a reward model on whole sequences (prompt, reply, EOS)."""
    out = np.zeros(len(rows))
    for where in _by_length([len(row) for row in rows]):
        ids, mask = kit.pad_sequences([rows[i] for i in where], kit.PAD_ID)
        out[where] = model(input_ids=ids, attention_mask=mask).double().numpy()
    return out


@torch.no_grad()
def pair_scores(model: TrustedRewardModel, first: Sequence[Ids], second: Sequence[Ids]) -> np.ndarray:
    """Return the raw scores (2, N) of pairs of sequences, as `scores` does, in three quarters of the time.

    The common prefix of a pair, which is at least the prompt, is computed once: a row holds the prefix and after it the
    two endings. The attention mask hides the first ending from the second.
    """
    out = np.zeros((2, len(first)))
    forks = [_fork(a, b) for a, b in zip(first, second, strict=True)]
    for where in _by_length([len(fork[0]) for fork in forks]):
        ids, positions, branch = (
            kit.pad_sequences([forks[i][part] for i in where], kit.PAD_ID)[0] for part in range(3)
        )
        hides = (branch[:, :, None] == SECOND) & (branch[:, None, :] == FIRST)
        hides |= torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
        mask = torch.zeros(hides.shape).masked_fill(hides, torch.finfo(torch.float32).min)[:, None]
        hidden = model.transformer(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
        ).last_hidden_state
        ends = torch.tensor([[len(first[i]) - 1, len(forks[i][0]) - 1] for i in where])
        last = hidden.gather(1, ends[:, :, None].expand(-1, -1, hidden.shape[2]))
        out[:, where] = model.score(last).squeeze(2).double().T.numpy()
    return out


def _fork(first: Ids, second: Ids) -> tuple[list[int], list[int], list[int]]:
    """Return tokens, positions and parts of two sequences in one row. The last token of neither is shared."""
    most = min(len(first), len(second)) - 1
    shared = next((i for i in range(most) if first[i] != second[i]), most)
    return (
        [*first, *second[shared:]],
        [*range(len(first)), *range(shared, len(second))],
        [SHARED] * shared + [FIRST] * (len(first) - shared) + [SECOND] * (len(second) - shared),
    )


def with_eos(prompt: Ids, reply: Ids) -> list[int]:
    """Return what a reward model scores: prompt and reply, with one EOS at the end."""
    ending = [] if len(reply) and reply[-1] == kit.EOS_ID else [kit.EOS_ID]
    return [*prompt, *reply, *ending]


def sample_coupled(
    lm: nn.Module, prompts: Sequence[Ids], max_new_tokens: int, seed: int, *, first_of: int | None = None
) -> list[list[int]]:
    """Sample one reply per prompt at temperature 1, EOS included, with common random numbers.

    Gumbel noise is drawn for every prompt and position, whichever model samples. Two models that agree choose the same
    tokens, so that their difference is measured with less noise.
    first_of: how many prompts the full run has, if these are only the first of them.
    """
    generator = torch.Generator().manual_seed(seed)

    def choose(logits: Tensor, rows: Tensor) -> Tensor:
        noise = _gumbel((first_of or len(prompts), logits.shape[1]), generator)
        return (logits + noise[rows]).argmax(dim=1)

    return sample_batch(lm, prompts, max_new_tokens, choose)


def _gumbel(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    tiny = torch.finfo(torch.float32).tiny
    uniform = torch.rand(shape, generator=generator).clamp(min=tiny)
    return -(-uniform.log()).clamp(min=tiny).log()


def repetition(reply: Ids) -> float:
    """Return 1 − distinct / all token bigrams, or 0 for a reply without a bigram."""
    pairs = [(reply[i], reply[i + 1]) for i in range(len(reply) - 1)]
    return 1.0 - len(set(pairs)) / len(pairs) if pairs else 0.0


def _by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices in batches of similar length, which need little padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]
