"""Show how models reply to prompts, first of all the base model before any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .conversations import Conversations, show_conversations
from .sampling import EOS_ID, sample

FIRST_KINDS = ("fact", "describe", "unknown", "unsafe")  # known, known, no such animal, cruel


def answer(
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 48,
    greedy: bool = True,
    seed: int = 0,
) -> list[str]:
    """Decode a causal language model's replies to prompt texts that end in "Assistant:".

    A reply without EOS ends in "…".
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    ids = [tokenizer.encode(prompt, add_special_tokens=False) for prompt in prompts]
    replies = sample(model, ids, max_new_tokens, greedy=greedy, generator=generator)
    texts = [tokenizer.decode(reply, skip_special_tokens=True).strip() for reply in replies]
    ended = [bool(reply) and reply[-1] == EOS_ID for reply in replies]
    return [text if end else f"{text} …" for text, end in zip(texts, ended, strict=True)]


def first_questions() -> list[str]:
    """Return the shortest held-out prompt of each of FIRST_KINDS; short ones have no earlier turns."""
    from .data import load_prompts

    by_kind: dict[str, list[str]] = {}
    for row in load_prompts("heldout"):
        by_kind.setdefault(row["kind"], []).append(row["prompt"])
    return [min(by_kind[kind], key=len) for kind in FIRST_KINDS]


def demo(
    prompts: Sequence[str] | None = None,
    model: nn.Module | None = None,
    tokenizer: Any = None,
    name: str = "base model",
) -> Conversations:
    """Return two sampled replies of a model to each prompt, by default the base model's to `first_questions()`."""
    from .models import load_base_model, load_tokenizer

    prompts = first_questions() if prompts is None else prompts
    tokenizer = tokenizer or load_tokenizer()
    model = model or load_base_model()
    draws = (name, f"{name}, asked again")
    replies = {
        draw: answer(model, tokenizer, prompts, greedy=False, seed=i)
        for i, draw in enumerate(draws)
    }
    return show_conversations(prompts, replies)
