"""The whole pipeline on a world with the reference solution. It makes the shipped data, the grader's reference weights
and the measured outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from rlhf_kit.config import EvalConfig, PPOConfig, Profile, RMConfig, SFTConfig
from rlhf_kit.pipeline import RLHFPipeline

from .draw import Pair, demonstrations, label_pairs, poor_worth, prompt_records, written_candidates
from .onpolicy import Pool, mixed_pairs, pool_questions, sample_replies
from .world import Partition, Split, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

    import rlhf_kit as kit

DEMONSTRATIONS, PREFERENCES, HELDOUT_PAIRS = 1600, 6000, 1800
TRAIN_PROMPTS, HELDOUT_PROMPTS = 1200, 400
Config = TypeVar("Config", SFTConfig, RMConfig, PPOConfig, EvalConfig)


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
    """Return the reference solution's functions and classes by name, for `RLHFPipeline`."""
    from solutions import p2_data, p3_sft, p4_reward_model, p5_ppo_math, p6_ppo_training, p9_evaluation

    parts = (p2_data, p3_sft, p4_reward_model, p5_ppo_math, p6_ppo_training, p9_evaluation)
    return {name: value for part in parts for name, value in vars(part).items() if not name.startswith("_")}


def with_seeds(profile: Profile, seed: int) -> Profile:
    """Return the profile with other random seeds, which give other orders of batches and other rollouts."""

    def shift(config: Config) -> Config:
        return replace(config, seed=config.seed + 1000 * seed)

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
    """Draw all of a student's data for a seed. sft: trains the model that the on-policy pairs are sampled from, on the
    demonstrations; the model is returned too."""
    train, heldout = Partition(world, "student", "train"), Partition(world, "student", "heldout")
    demos = demonstrations(train, DEMONSTRATIONS, seed)
    lm = sft(demos)
    pairs: dict[Split, list[Pair]] = {}
    for partition, n in ((train, PREFERENCES), (heldout, HELDOUT_PAIRS)):
        questions = pool_questions(partition, n // 2, seed)
        pool = Pool(questions, sample_replies(lm, tokenizer, questions, seed))
        pairs[partition.split] = mixed_pairs(partition, n, seed, pool)
    poor = label_pairs(written_candidates(train, 3 * poor_pairs, f"poor {seed}"), poor_worth, seed)
    data = Data(
        demos,
        pairs["train"],
        pairs["heldout"],
        poor[:poor_pairs],
        prompt_records(train, TRAIN_PROMPTS, seed),
        prompt_records(heldout, HELDOUT_PROMPTS, seed),
    )
    return data, lm


def lab_pipeline(profile: Profile, tokenizer: PreTrainedTokenizerBase) -> RLHFPipeline:
    """Return the kit's pipeline with the reference solution in its slots."""
    return RLHFPipeline(reference_slots(), profile, tokenizer, device="cuda" if torch.cuda.is_available() else "cpu")


def train_judge(
    pipeline: RLHFPipeline, sft: GPT2LMHeadModel, pairs: list[Pair], config: RMConfig, prompts: list[dict[str, object]]
) -> tuple[kit.RewardFunction, list[float]]:
    """Train a reward model on pairs. Returns PPO's reward, and the loss of each step of the
    training."""
    model, losses = pipeline.run_reward_model(sft, [pair.row for pair in pairs], config)
    return pipeline.reward_function(model, sft, prompts), losses
