"""Train everything that the notebook trains, for one seed, and keep what its figures are computed from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import rlhf_kit as kit
from rlhf_kit.gold import GoldReward

from .experiment import Data, draw_data, lab_pipeline, train_judge, with_seeds
from .figures import MODELS, policy_of

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import GPT2LMHeadModel

    from rlhf_kit.config import Profile, RMConfig
    from rlhf_kit.pipeline import RLHFPipeline

    from .draw import Pair
    from .world import World


@dataclass(frozen=True)
class Judged:
    """A reward model and the policy that was trained on it. losses: of the reward model's steps. steps: PPO's
    statistics, a dict for each phase, with the mean gold reward of its rollouts as `gold`."""

    reward: kit.RewardFunction
    losses: list[float]
    policy: kit.Policy
    steps: list[dict[str, float]]

    def curves(self) -> dict[str, list[float]]:
        """Return the statistics as a list for each quantity, to four digits."""
        return {name: [float(f"{step[name]:.4g}") for step in self.steps] for name in self.steps[0]}


@dataclass(frozen=True)
class Study:
    """One run of the notebook. judged: by JUDGES' names. seconds: what each stage took."""

    seed: int
    world: World
    pipeline: RLHFPipeline
    data: Data
    base: GPT2LMHeadModel
    sft: GPT2LMHeadModel
    sft_losses: list[float]
    judged: dict[str, Judged]
    seconds: dict[str, float]

    @property
    def policies(self) -> dict[str, kit.Policy]:
        """Return the four models that part 9 compares, by MODELS' names."""
        trained = {policy_of(judge): one.policy for judge, one in self.judged.items()}
        found = {"Base": kit.Policy(self.base), "SFT": kit.Policy(self.sft), **trained}
        return {name: found[name] for name in MODELS}


def run_study(world: World, seed: int, base_folder: Path, profile: Profile | None = None) -> Study:
    """Draw the data of a seed and train SFT model, reward models and policies. profile: the kit's, if it is None."""
    profile, tokenizer = with_seeds(profile or kit.get_profile(), seed), kit.load_tokenizer(base_folder)
    pipeline = lab_pipeline(profile, tokenizer)
    base = kit.load_base_model(base_folder).to(pipeline.device)
    clock, losses = [time.monotonic()], list[float]()

    def sft(rows: list[dict[str, str]]) -> Any:
        lm, steps = pipeline.run_sft(base, rows)
        losses.extend(steps)
        return lm

    data, lm = draw_data(world, seed, sft, tokenizer, profile.poor_pairs)
    clock.append(time.monotonic())
    judged = {}
    for judge, pairs, config in (("Good RM", data.train, profile.good_rm), ("Poor RM", data.poor, profile.poor_rm)):
        judged[judge] = train_watched(pipeline, lm, pairs, config, data.prompts)
        clock.append(time.monotonic())
    took = [round(after - before, 1) for before, after in pairwise(clock)]
    seconds = dict(zip(("sft_and_data", "good", "poor"), took, strict=True))
    return Study(seed, world, pipeline, data, base, lm, losses, judged, seconds)


def train_watched(
    pipeline: RLHFPipeline, sft: GPT2LMHeadModel, pairs: list[Pair], config: RMConfig, prompts: list[dict[str, object]]
) -> Judged:
    """Train a reward model on pairs and a policy on its reward, and note the gold reward as part 7 does."""
    from solutions.p7_policies import Watched

    reward, losses = train_judge(pipeline, sft, pairs, config, prompts)
    watched = Watched(reward, GoldReward(prompts, pipeline.tokenizer))
    policy, stats = pipeline.run_ppo(sft, watched, prompts)
    steps = [{**row, "gold": gold} for row, gold in zip(stats, watched.gold_means, strict=True)]
    return Judged(reward, losses, policy, steps)
