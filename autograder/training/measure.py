"""Measurements on the grader's own models: losses, scores, coupled samples, log-likelihoods. All float32
forward passes with float64 sums, on the CPU, batched by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

import rlhf_kit as kit
from autograder.reference.models import TrustedRewardModel

BATCH = 128
SHARED, FIRST, SECOND = range(3)  # the parts of two sequences in one row
Ids = Sequence[int]


@dataclass(frozen=True)
class Likelihood:
    """Of each reply, (N,): sum of log-probabilities (nats), number of tokens, and what a reply that the model
    sampled itself would show: the sum of its entropies (nats) and of its log-probabilities' variances (nats²)."""

    total: np.ndarray
    tokens: np.ndarray
    entropy: np.ndarray
    variance: np.ndarray

    @property
    def nll(self) -> np.ndarray:
        """Mean negative log-likelihood per token of each reply, (N,)."""
        return -self.total / np.maximum(self.tokens, 1)

    def per_token(self, n: int | None = None) -> float:
        """Mean negative log-likelihood of all tokens of the first n replies (all, if None), nats."""
        return -float(self.total[:n].sum() / self.tokens[:n].sum())

    def typicality(self) -> float:
        """How far the replies are from what the model itself samples at temperature 1, in standard errors: below 0
        they are too likely (greedy, say), above 0 too unlikely. Given what stands before it, a sampled token's
        surprise is on average the entropy there, so that the differences are a martingale: no samples to compare
        with are needed, and a cut at the maximal length does not matter."""
        return float(-(self.total + self.entropy).sum() / max(float(np.sqrt(self.variance.sum())), 1e-9))


@torch.no_grad()
def likelihood(lm: GPT2LMHeadModel, prompts: Sequence[Ids], replies: Sequence[Ids]) -> Likelihood:
    """Log-likelihood of replies given their prompts; an empty reply has 0 nats and 0 tokens."""
    found = np.zeros((3, len(prompts)))
    tokens = np.array([len(reply) for reply in replies], dtype=np.int64)
    for where in _by_length([len(p) + len(r) for p, r in zip(prompts, replies, strict=True)]):
        batch = kit.lay_out([prompts[i] for i in where], [replies[i] for i in where])
        hidden = lm.transformer(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
        ).last_hidden_state
        inside = batch.response_mask[:, 1:].bool()
        logits = lm.lm_head(hidden[:, :-1][inside])  # the vocabulary is wide: only where a reply is scored
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
    """Raw scores (N,) of a reward model on whole sequences (prompt, reply, EOS)."""
    out = np.zeros(len(rows))
    for where in _by_length([len(row) for row in rows]):
        ids, mask = kit.pad_sequences([rows[i] for i in where], kit.PAD_ID)
        out[where] = model(input_ids=ids, attention_mask=mask).double().numpy()
    return out


@torch.no_grad()
def pair_scores(model: TrustedRewardModel, first: Sequence[Ids], second: Sequence[Ids]) -> np.ndarray:
    """Raw scores (2, N) of two sequences each, as `scores` gives them, in three quarters of its time.

    What both begin with, the prompt at least, is read once: a row holds the beginning and behind it the two
    endings, the second of which does not see the first.
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
    """Tokens, positions and parts of two sequences in one row; each keeps a last token of its own."""
    most = min(len(first), len(second)) - 1
    shared = next((i for i in range(most) if first[i] != second[i]), most)
    own = len(first) - shared, len(second) - shared
    return (
        [*first, *second[shared:]],
        [*range(len(first)), *range(shared, len(second))],
        [SHARED] * shared + [FIRST] * own[0] + [SECOND] * own[1],
    )


def with_eos(prompt: Ids, reply: Ids) -> list[int]:
    """What a reward model reads: prompt, reply, and EOS once."""
    ending = [] if len(reply) and reply[-1] == kit.EOS_ID else [kit.EOS_ID]
    return [*prompt, *reply, *ending]


@torch.no_grad()
def sample_coupled(
    lm: nn.Module, prompts: Sequence[Ids], max_new_tokens: int, seed: int, *, first_of: int | None = None
) -> list[list[int]]:
    """One reply per prompt at temperature 1, EOS included; random numbers depend on (prompt, position) alone.

    Gumbel noise is drawn for every prompt and position, whichever model samples: two models that agree
    choose the same tokens, so that their difference is measured with less noise (common random numbers).
    first_of: the number of prompts in the run of which these are the first, if they are not all.
    """
    generator = torch.Generator().manual_seed(seed)
    ids, mask = kit.pad_sequences(prompts, kit.PAD_ID, side="left")
    positions, rows, cache = kit.position_ids(mask), torch.arange(len(prompts)), None
    replies: list[list[int]] = [[] for _ in prompts]
    for _ in range(max_new_tokens):
        out = lm(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        cache, logits = out.past_key_values, out.logits[:, -1]
        noise = _gumbel((first_of or len(prompts), logits.shape[1]), generator)
        token = (logits + noise[rows]).argmax(dim=1)
        for row, value in zip(rows.tolist(), token.tolist(), strict=True):
            replies[row].append(value)
        keep = (token != kit.EOS_ID).nonzero().squeeze(1)
        if len(keep) == 0:
            break
        if len(keep) < len(rows):
            cache.batch_select_indices(keep)
            token, rows, mask, positions = token[keep], rows[keep], mask[keep], positions[keep]
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
    return replies


def _gumbel(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    tiny = torch.finfo(torch.float32).tiny
    uniform = torch.rand(shape, generator=generator).clamp(min=tiny)
    return -(-uniform.log()).clamp(min=tiny).log()


def repetition(reply: Ids) -> float:
    """1 − distinct / all token bigrams; 0 for a reply without one."""
    pairs = [(reply[i], reply[i + 1]) for i in range(len(reply) - 1)]
    return 1.0 - len(set(pairs)) / len(pairs) if pairs else 0.0


def _by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length: less padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]
