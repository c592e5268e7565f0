"""Run the stages of RLHF with the student's slots on the grader's data, and return weights or replies.

Nothing here knows what a good result is. The payload holds rows, prompts, configs and the seed, `payload["model"]` is
the GPT-2 architecture, and the tensors are the weights to start from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from rlhf_kit.packed import PackedGPT2LMHeadModel
from rlhf_kit.pipeline import RLHFPipeline

from .operations import Report, Result, op
from .replies import comparison_answer
from .snapshots import RecordedLoop, load_state

if TYPE_CHECKING:
    from .namespace import Namespace

Ids = Sequence[Sequence[int]]

REWARD_DECIMALS = 4


class Slots:
    """The student's slots by name, as the kit's pipeline looks them up. `replaced` holds functions to use instead."""

    def __init__(self, ns: Namespace, replaced: dict[str, Any]) -> None:
        self.ns, self.replaced = ns, replaced

    def get(self, name: str, _default: Any = None) -> Any:
        """Return the slot of that name. Raises SlotMissingError or SlotBrokenError with the slot's id."""
        return self.replaced[name] if name in self.replaced else self.ns.get(name)


class Scorer(kit.RewardModelBase):
    """The grader's reward model inside the sandbox. It takes right-padded batches, the only kind that the kit makes."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score (B, T) token ids with their (B, T) attention mask: (B,)."""
        hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        ends = attention_mask.sum(dim=1) - 1
        scores: Tensor = self.score(hidden[torch.arange(len(ends), device=ends.device), ends])
        return scores.squeeze(-1)


class GivenReward(kit.RewardFunction):
    """A frozen reward model plus a bonus for replies that contain a phrase.

    Rewards are rounded, so that a reply has the same reward in every batch and ties stay ties.
    """

    def __init__(self, model: Scorer, given: dict[str, Any], tokenizer: Any) -> None:
        super().__init__(model, given["mean"], given["std"], given["missing_eos_penalty"])
        self.phrase, self.bonus, self.tokenizer = given["phrase"], given["bonus"], tokenizer

    def __call__(self, prompt_ids: Ids, response_ids: Ids) -> Tensor:
        """Compute rewards (B,) on the CPU, without gradient."""
        texts = [self.tokenizer.decode([int(t) for t in reply], skip_special_tokens=True) for reply in response_ids]
        bonus = self.bonus * torch.tensor([float(self.phrase in text) for text in texts])
        rewards: Tensor = super().__call__(prompt_ids, response_ids) + bonus
        return rewards.round(decimals=REWARD_DECIMALS)


def build_lm(payload: dict[str, Any], tensors: dict[str, Tensor], prefix: str) -> GPT2LMHeadModel:
    """Build the language model whose weights were sent under `prefix`, in eval mode."""
    model: GPT2LMHeadModel = PackedGPT2LMHeadModel(GPT2Config(**payload["model"]))
    return load_state(model, tensors, prefix).eval().to(payload["device"])


def build_reward(payload: dict[str, Any], tensors: dict[str, Tensor], lm: GPT2LMHeadModel) -> GivenReward:
    """Build the reward function whose weights were sent under "rm/"."""
    model = Scorer.from_lm(lm)
    load_state(model, tensors, "rm/")
    return GivenReward(model.to(payload["device"]), payload["reward"], kit.load_tokenizer())


def stage_config(kind: type, payload: dict[str, Any]) -> Any:
    """Build a config dataclass from its JSON form."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in payload["config"].items()}
    return kind(**values)


def begin(ns: Namespace, payload: dict[str, Any], report: Report, loop: str) -> tuple[RLHFPipeline, RecordedLoop]:
    """Return the kit's pipeline on the student's slots, with a RecordedLoop in place of the training loop."""
    recorded = RecordedLoop(ns.get(loop), payload["snapshots"], report)
    slots = Slots(ns, {loop: recorded})
    pipeline = RLHFPipeline(slots, kit.get_profile(), kit.load_tokenizer(), device=payload["device"])
    return pipeline, recorded


@op("stage_sft")
def stage_sft(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Result:
    """Fine-tune "lm/" on payload["rows"] (Dolly's columns) with T01, T03, T04 and T05."""
    pipeline, recorded = begin(ns, payload, report, "train_sft")
    lm = build_lm(payload, tensors, "lm/")
    pipeline.run_sft(lm, payload["rows"], stage_config(kit.SFTConfig, payload), recorded.on_step)
    return recorded.result()


@op("stage_rm")
def stage_rm(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Result:
    """Train a reward model from "lm/" on payload["rows"] (HH dialogues) with T02, T06, T07 and T09."""
    pipeline, recorded = begin(ns, payload, report, "train_reward_model")
    lm = build_lm(payload, tensors, "lm/")
    pipeline.run_reward_model(lm, payload["rows"], stage_config(kit.RMConfig, payload), recorded.on_step)
    return recorded.result()


@op("stage_ppo")
def stage_ppo(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Result:
    """Train a policy from "lm/" against the reward of "rm/" on payload["prompts"] with T10 to T14."""
    pipeline, recorded = begin(ns, payload, report, "train_ppo")
    lm = build_lm(payload, tensors, "lm/")
    reward = build_reward(payload, tensors, lm)
    pipeline.run_ppo(lm, reward, payload["prompts"], stage_config(kit.PPOConfig, payload), recorded.on_step)
    return recorded.result()


@op("stage_compare")
def stage_compare(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], _report: Report) -> Result:
    """Run T15 on the policies named in payload["policies"] (weights under "name/"), scored by "rm/"."""
    models = {name: build_lm(payload, tensors, f"{prefix}/") for name, prefix in payload["policies"].items()}
    reward = build_reward(payload, tensors, next(iter(models.values())))
    policies = {name: kit.freeze(kit.Policy(lm)) for name, lm in models.items()}
    prompts = [list(prompt) for prompt in payload["prompts"]]
    config = stage_config(kit.EvalConfig, payload)
    return comparison_answer(ns.get("compare_policies")(policies, prompts, reward, config))
