"""Sample replies in left-padded batches, with a key-value cache; rows leave the batch when they end.

Replies come from the distribution that is scored later: temperature 1, no top-k, no top-p.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .batching import pad_sequences
from .models import position_ids
from .packed import CACHE

EOS_ID = 0
PAD_ID = 1

_LISTENERS: list[Callable[[int], None]] = []


@dataclass(frozen=True)
class Rollout:
    """Prompts with their sampled replies, as lists and as one right-padded batch.

    input_ids, attention_mask: (B, T) int64, prompt followed by reply. response_mask: (B, T) float, 1 on
    the tokens of the reply (with its EOS), 0 elsewhere. Column t of the mask belongs to
    `input_ids[:, t]`, whose log-probability comes from the logits at t - 1.
    """

    prompt_ids: list[list[int]]
    response_ids: list[list[int]]
    input_ids: Tensor
    attention_mask: Tensor
    response_mask: Tensor


@torch.no_grad()
def sample(
    lm: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    greedy: bool = False,
    generator: torch.Generator | None = None,
    batch_size: int = 128,
) -> list[list[int]]:
    """Sample one reply per prompt, as token ids, with EOS if the model emitted it.

    lm: a causal language model that is called as in transformers (GPT2LMHeadModel).
    prompts: token ids. generator: used instead of torch's global random numbers.

    Raises:
        ValueError: a prompt is empty, or it is longer than the model's context, alone or with its reply.
    """
    check_prompts(prompts, context_length(lm))
    replies: list[list[int]] = []
    was_training = lm.training
    lm.eval()
    try:
        for start in range(0, len(prompts), batch_size):
            chunk = prompts[start : start + batch_size]
            replies += sample_batch(
                lm, chunk, max_new_tokens, lambda logits, _: _choose(logits, greedy, generator)
            )
            for told in _LISTENERS:
                told(len(chunk))
    finally:
        lm.train(was_training)
    return replies


@torch.no_grad()
def sample_batch(
    lm: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    choose: Callable[[Tensor, Tensor], Tensor],
) -> list[list[int]]:
    """Sample one reply per prompt from a model in eval mode, with all prompts in one batch.

    choose: (logits (B, V), indices (B,) of the prompts whose replies go on) -> next token ids (B,).

    Raises:
        ValueError: a prompt and its reply are longer than the model's context.
    """
    device, limit = next(lm.parameters()).device, context_length(lm)
    ids, mask = (x.to(device) for x in pad_sequences(prompts, PAD_ID, side="left"))
    positions, rows, cache = position_ids(mask), torch.arange(len(prompts), device=device), None
    replies: list[list[int]] = [[] for _ in prompts]
    for _ in range(max_new_tokens):
        _check_room(positions, mask, limit, max_new_tokens)
        out = lm(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{CACHE: cache},
        )
        cache, token = getattr(out, CACHE), choose(out.logits[:, -1], rows)
        for row, value in zip(rows.tolist(), token.tolist(), strict=True):
            replies[row].append(value)
        keep = (token != EOS_ID).nonzero().squeeze(-1)
        if len(keep) == 0:
            break
        if len(keep) < len(rows):
            # rows that ended leave the batch, so that short replies do not take as long as long ones
            cache.batch_select_indices(keep)
            token, rows, mask, positions = token[keep], rows[keep], mask[keep], positions[keep]
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
    return replies


@contextmanager
def listening(told: Callable[[int], None]) -> Iterator[None]:
    """Call `told` with the number of new replies whenever `sample` has made some, for a progress bar."""
    _LISTENERS.append(told)
    try:
        yield
    finally:
        _LISTENERS.remove(told)


def context_length(lm: nn.Module) -> int | None:
    """Return how many tokens a model can read, prompt and reply together; None if it does not say."""
    return getattr(getattr(lm, "config", None), "max_position_embeddings", None)


def check_prompts(prompts: Sequence[Sequence[int]], limit: int | None) -> None:
    """Raise a ValueError if a prompt is empty or has more tokens than the model reads (`limit`, None: any number)."""
    for number, prompt in enumerate(prompts, start=1):
        which = f"prompt {number} of {len(prompts)}"
        if len(prompt) == 0:
            raise ValueError(
                f"{which} is empty, and a model needs at least one token to go on from: leave it out, or write a text"
            )
        if limit is not None and len(prompt) > limit:
            raise ValueError(
                f"{which} has {len(prompt)} tokens, and this model reads at most {limit}, its reply included: "
                "shorten the prompt"
            )


def _check_room(positions: Tensor, mask: Tensor, limit: int | None, max_new_tokens: int) -> None:
    """Raise a ValueError if a token lies beyond the model's context of `limit` tokens. positions: of the next tokens,
    (B, T). mask: of all tokens so far; where they are few, nothing has to be computed."""
    if limit is not None and mask.size(1) > limit and int(positions.max()) >= limit:
        raise ValueError(
            f"a prompt and its reply have filled the {limit} tokens that this model reads: shorten the prompt, or ask "
            f"for fewer than {max_new_tokens} new tokens (max_new_tokens)"
        )


def _choose(logits: Tensor, greedy: bool, generator: torch.Generator | None) -> Tensor:
    """Choose the next token ids (B,) from logits (B, V)."""
    if greedy:
        return logits.argmax(-1)
    # inversion: one random number a row, where torch.multinomial draws one for every word of the vocabulary
    upto = logits.float().softmax(-1).cumsum(-1)
    at = torch.rand(len(upto), 1, generator=generator, device=upto.device) * upto[:, -1:]
    return torch.searchsorted(upto, at, right=True).squeeze(-1).clamp(max=upto.size(-1) - 1)


def rollout(
    lm: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    generator: torch.Generator | None = None,
) -> Rollout:
    """Sample one reply per prompt, and make a right-padded batch of prompts and replies for scoring."""
    responses = sample(lm, prompts, max_new_tokens, generator=generator)
    return lay_out(prompts, responses, next(lm.parameters()).device)


def lay_out(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    device: torch.device | str = "cpu",
) -> Rollout:
    """Make a Rollout of given prompts and replies (lists of token ids)."""
    ids, mask = pad_sequences([[*p, *r] for p, r in zip(prompts, responses, strict=True)], PAD_ID)
    response = torch.zeros(ids.shape, dtype=torch.float32)
    for i, (p, r) in enumerate(zip(prompts, responses, strict=True)):
        response[i, len(p) : len(p) + len(r)] = 1.0
    return Rollout(
        [list(p) for p in prompts],
        [list(r) for r in responses],
        ids.to(device),
        mask.to(device),
        response.to(device),
    )
