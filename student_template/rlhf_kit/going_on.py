"""Give a new kernel what the notebook's trainings made in an earlier one."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from .conversations import one_of_each_kind
from .model_files import load, load_values, saved_models
from .needs import POLICIES, REWARD_MODELS
from .pipeline import RLHFPipeline
from .scoring import RewardFunction

SFT = "SFT"


def load_trainings(names: MutableMapping[str, Any], pipeline: RLHFPipeline) -> None:
    """Define `sft_lm`, `reward_models`, `trained` and what belongs to them from what the trainings saved, and print it.

    names: the notebook's `globals()`; parts 1 and 2 and the cells of the slots have run. Models that are there already
    stay as they are: what was trained in this kernel is newer.
    """
    about = saved_models()
    if SFT in about and "sft_lm" not in names:
        names["sft_lm"], names["sft_losses"] = load(SFT), load_values(SFT)["losses"]
        names["shown"] = one_of_each_kind(names["heldout_prompts"])
    if about.keys() >= set(REWARD_MODELS) and "reward_models" not in names:
        judge_class = pipeline.slot("RewardModel")
        names["reward_models"] = {name: load(name, judge_class) for name in REWARD_MODELS}
        names["rm_losses"] = {name: load_values(name)["losses"] for name in REWARD_MODELS}
    if about.keys() >= {*REWARD_MODELS, *POLICIES} and "trained" not in names:
        values = {name: load_values(name) for name in POLICIES}
        names["trained"] = {name: load(name) for name in POLICIES}
        names["ppo_stats"] = {name: values[name]["steps"] for name in POLICIES}
        names["gold_curves"] = {name: values[name]["gold"] for name in POLICIES}
        names["rewards"] = {
            judge: RewardFunction(names["reward_models"][judge], **values[name]["reward"])
            for judge, name in zip(REWARD_MODELS, POLICIES, strict=True)
        }
    for name in (SFT, *REWARD_MODELS, *POLICIES):
        print(f"{name}: {about.get(name, 'not saved yet; its training saves it when it ends')}")
