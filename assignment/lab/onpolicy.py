"""On-policy replies: sampled from the reference SFT model, so that a reward model sees what it will judge.

A reward model that only knows written replies misjudges sampled ones, and PPO finds out first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tqdm.auto import tqdm
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

from rlhf_kit.config import MAX_NEW_TOKENS
from rlhf_kit.sampling import EOS_ID, sample

from .draw import Pair, compare, gold_worth, sampled_candidates, template_candidates
from .prompts import Ask, asks
from .style import HouseStyle
from .world import Part, Split, World

KEPT = 0.38  # about this share of sampled pairs differs and has a gap; more are sampled to make up for it


def sample_replies(
    lm: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Ask],
    seed: int,
    per_question: int = 2,
) -> list[list[str]]:
    """Replies of `lm` as text, `per_question` each; a reply that never ended is dropped."""
    generator = torch.Generator(device=lm.device).manual_seed(seed)
    prompts = [tokenizer(one.prompt)["input_ids"] for one in questions for _ in range(per_question)]
    replies: list[str | None] = []
    for start in tqdm(range(0, len(prompts), 256), desc="sampling replies", leave=False, mininterval=2):
        for ids in sample(lm, prompts[start : start + 256], MAX_NEW_TOKENS, generator=generator, batch_size=256):
            text = tokenizer.decode(ids, skip_special_tokens=True).strip()
            replies.append(text if ids[-1:] == [EOS_ID] else None)
    groups = (replies[i : i + per_question] for i in range(0, len(replies), per_question))
    return [[r for r in group if r] for group in groups]


def mixed_pairs(
    world: World,
    part: Part,
    split: Split,
    n: int,
    seed: int,
    questions: Sequence[Ask],
    replies: Sequence[Sequence[str]],
    style: HouseStyle | None = None,
) -> list[Pair]:
    """n labelled pairs, half written and half sampled (`questions` with their `replies`), interleaved.

    ValueError if there are too few sampled pairs with a gap.
    """
    worth, half = gold_worth(style), n // 2
    sampled = compare(sampled_candidates(questions, replies), worth, f"{seed} sampled")[: n - half]
    written = compare(template_candidates(world, part, split, 2 * half, seed, style), worth, f"{seed} written")[:half]
    if len(sampled) + len(written) < n:
        raise ValueError(f"only {len(written)} written and {len(sampled)} sampled pairs for {n}: sample more replies")
    mixed = [pair for both in zip(written, sampled, strict=False) for pair in both]
    return mixed + sampled[len(written) :] + written[len(sampled) :]


def pool_questions(world: World, part: Part, split: Split, pairs: int, seed: object) -> list[Ask]:
    """Enough questions to sample `pairs` on-policy pairs from."""
    return asks(world, part, split, round(pairs / KEPT), f"pool {seed}")
