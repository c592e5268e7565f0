"""On-policy replies: sampled from the reference SFT model, so that a reward model learns from what it will score.

A reward model that was trained on written replies alone scores sampled ones wrongly, and PPO exploits that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from rlhf_kit.config import MAX_NEW_TOKENS
from rlhf_kit.sampling import EOS_ID, sample

from .draw import Pair, gold_worth, label_pairs, sampled_candidates, written_candidates
from .prompts import Question, draw_questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

    from .style import HouseStyle
    from .world import Partition

KEPT = 0.42  # share of sampled pairs, at least, whose replies differ in text and enough in worth: others are left out


@dataclass(frozen=True)
class Pool:
    """Questions and, for each of them, replies sampled from a model."""

    questions: Sequence[Question]
    replies: Sequence[Sequence[str]]


def sample_replies(
    lm: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    seed: int,
    per_question: int = 2,
) -> list[list[str]]:
    """Sample `per_question` replies of `lm` to each question, as text; a reply without EOS is dropped."""
    generator = torch.Generator(device=lm.device).manual_seed(seed)
    prompts = [tokenizer(one.prompt)["input_ids"] for one in questions for _ in range(per_question)]
    replies: list[str | None] = []
    for start in tqdm(range(0, len(prompts), 256), desc="sampling replies", leave=False, mininterval=2):
        for ids in sample(lm, prompts[start : start + 256], MAX_NEW_TOKENS, generator=generator, batch_size=256):
            text = tokenizer.decode(ids, skip_special_tokens=True).strip()
            replies.append(text if ids[-1:] == [EOS_ID] else None)
    groups = (replies[i : i + per_question] for i in range(0, len(replies), per_question))
    return [[r for r in group if r is not None] for group in groups]


def mixed_pairs(partition: Partition, n: int, seed: int, pool: Pool, style: HouseStyle | None = None) -> list[Pair]:
    """Label n pairs with the house style, if there is one: half of them written, half from the pool, in turn.

    Raises:
        ValueError: the pool holds too few pairs with a gap.
    """
    worth, half = gold_worth(style), n // 2
    sampled = label_pairs(sampled_candidates(pool.questions, pool.replies), worth, f"{seed} sampled")[: n - half]
    written = label_pairs(written_candidates(partition, 2 * half, seed, style), worth, f"{seed} written")[:half]
    if len(sampled) + len(written) < n:
        raise ValueError(f"only {len(written)} written and {len(sampled)} sampled pairs for {n}: sample more replies")
    mixed = [pair for both in zip(written, sampled, strict=False) for pair in both]
    return mixed + sampled[len(written) :] + written[len(sampled) :]


def pool_questions(partition: Partition, pairs: int, seed: object) -> list[Question]:
    """Draw as many questions as are needed to sample `pairs` on-policy pairs."""
    return draw_questions(partition, round(pairs / KEPT), f"pool {seed}")
