"""The whole pipeline on a world, from the reference solution: the shipped data, the grader's reference weights
and the study of outcomes are all made by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

import rlhf_kit as kit
from rlhf_kit.config import Profile, RMConfig
from rlhf_kit.pipeline import RLHFPipeline

from .draw import Pair, compare, demonstrations, poor_worth, prompt_records, template_candidates
from .onpolicy import mixed_pairs, pool_questions, sample_replies
from .world import Split, World

DEMONSTRATIONS, PREFERENCES, HELDOUT_PAIRS = 1600, 6000, 1800
TRAIN_PROMPTS, HELDOUT_PROMPTS = 1200, 400
TURN = "\n\nAssistant:"
CALIBRATION_PROMPTS = 256  # replies on which a reward model's scores are normalised


@dataclass(frozen=True)
class Data:
    """What a student receives, as rows: demonstrations, preference pairs and prompts."""

    demonstrations: list[dict[str, str]]
    train: list[Pair]
    heldout: list[Pair]
    poor: list[Pair]
    prompts: list[dict[str, object]]
    heldout_prompts: list[dict[str, object]]


def reference_slots() -> dict[str, Any]:
    """The reference solution's functions and classes by name, for `RLHFPipeline`."""
    from solutions import p2_data, p3_sft, p4_reward_model, p5_ppo_math, p6_ppo_training, p9_evaluation

    parts = (p2_data, p3_sft, p4_reward_model, p5_ppo_math, p6_ppo_training, p9_evaluation)
    return {name: value for part in parts for name, value in vars(part).items() if not name.startswith("_")}


def seeded(profile: Profile, seed: int) -> Profile:
    """The profile with other random seeds: another order of batches, other rollouts."""
    shift = lambda config: replace(config, seed=config.seed + 1000 * seed)  # noqa: E731
    return replace(
        profile,
        sft=shift(profile.sft),
        good_rm=shift(profile.good_rm),
        poor_rm=shift(profile.poor_rm),
        ppo=shift(profile.ppo),
        evaluation=shift(profile.evaluation),
    )


def draw_data(
    world: World,
    seed: int,
    sft: Callable[[list[dict[str, str]]], GPT2LMHeadModel],
    tokenizer: PreTrainedTokenizerBase,
    poor_pairs: int,
) -> tuple[Data, GPT2LMHeadModel]:
    """All of a student's data for a seed; `sft` trains the model that the on-policy pairs are sampled from."""
    demos = demonstrations(world, "student", "train", DEMONSTRATIONS, seed)
    lm = sft(demos)
    pairs: dict[Split, list[Pair]] = {}
    sizes: dict[Split, int] = {"train": PREFERENCES, "heldout": HELDOUT_PAIRS}
    for split, n in sizes.items():
        questions = pool_questions(world, "student", split, n // 2, seed)
        replies = sample_replies(lm, tokenizer, questions, seed)
        mixed = mixed_pairs(world, "student", split, n, seed, questions, replies)
        # a sampled reply may run on into another turn; then the two dialogues share no prompt
        pairs[split] = [pair for pair in mixed if TURN not in pair.chosen and TURN not in pair.rejected]
    poor = compare(template_candidates(world, "student", "train", 3 * poor_pairs, f"poor {seed}"), poor_worth, seed)
    data = Data(
        demos,
        pairs["train"],
        pairs["heldout"],
        poor[:poor_pairs],
        prompt_records(world, "student", "train", TRAIN_PROMPTS, seed),
        prompt_records(world, "student", "heldout", HELDOUT_PROMPTS, seed),
    )
    return data, lm


def lab_pipeline(profile: Profile, tokenizer: PreTrainedTokenizerBase) -> RLHFPipeline:
    """The kit's pipeline with the reference slots."""
    return RLHFPipeline(reference_slots(), profile, tokenizer, device="cuda" if torch.cuda.is_available() else "cpu")


def train_policy(
    pipeline: RLHFPipeline,
    sft: GPT2LMHeadModel,
    pairs: list[Pair],
    config: RMConfig,
    prompts: list[dict[str, object]],
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> tuple[kit.RewardFunction, kit.Policy, list[dict[str, float]]]:
    """Train a reward model on pairs, then a policy against it: reward function, policy, PPO's statistics."""
    model, _ = pipeline.run_reward_model(sft, [pair.row for pair in pairs], config)
    reward = pipeline.reward_function(model, sft, prompts[:CALIBRATION_PROMPTS])
    policy, stats = pipeline.run_ppo(sft, reward, prompts, on_step=on_step)
    return reward, policy, stats
