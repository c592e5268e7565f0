"""Show how models reply to prompts, first of all the base model before any training."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .sampling import EOS_ID, sample

FIRST_KINDS = ("fact", "describe", "unknown", "unsafe")  # known, known, no such animal, cruel
WIDTH = 100  # columns of the printed conversation
TURN = re.compile(r"\n\n(Human|Assistant):(.*?)(?=\n\n(?:Human|Assistant):|\Z)", re.DOTALL)


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


def show_conversations(prompts: Sequence[str], replies: Mapping[str, Sequence[str]]) -> str:
    """Format each prompt with the replies of one or more models below it, as text."""
    blocks = []
    for i, prompt in enumerate(prompts):
        lines = [_wrap(speaker, text) for speaker, text in TURN.findall(prompt) if text.strip()]
        lines += [_wrap(name, texts[i]) for name, texts in replies.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def one_of_each_kind(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one prompt of each kind of question, the last of its kind."""
    return list({row["kind"]: row["prompt"] for row in rows}.values())


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
) -> None:
    """Print two sampled replies of a model to each prompt, by default the base model's to `first_questions()`."""
    from .models import load_base_model, load_tokenizer

    prompts = first_questions() if prompts is None else prompts
    tokenizer = tokenizer or load_tokenizer()
    model = model or load_base_model()
    draws = (name, f"{name}, asked again")
    replies = {
        draw: answer(model, tokenizer, prompts, greedy=False, seed=i)
        for i, draw in enumerate(draws)
    }
    print(show_conversations(prompts, replies))


def _wrap(speaker: str, text: str) -> str:
    return textwrap.fill(
        f"{speaker}: {' '.join(text.split())}",
        WIDTH,
        subsequent_indent="    ",
        break_long_words=False,
    )
