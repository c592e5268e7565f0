"""The stages of RLHF, run with the student's slots on what the grader sends; weights or replies go back.

Nothing here knows what a good result is. The payload brings rows, prompts, configs and the seed, the
tensors bring the weights to start from; `payload["model"]` is the GPT-2 architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from rlhf_kit.pipeline import RLHFPipeline

from .namespace import Namespace
from .registry import op
from .replies import comparison_answer
from .snapshots import Watch, load_state

Report = Callable[[dict[str, Any]], None]
Answer = tuple[dict[str, Any], dict[str, Tensor]]
Ids = Sequence[Sequence[int]]

REWARD_DECIMALS = 4


class Slots:
    """The student's slots by name, as the kit's pipeline looks them up; `instead` stands in for some."""

    def __init__(self, ns: Namespace, instead: dict[str, Any]) -> None:
        self.ns, self.instead = ns, instead

    def get(self, name: str, default: Any = None) -> Any:
        """The slot of that name; SlotMissing or SlotBroken say which slot cannot be had."""
        return self.instead[name] if name in self.instead else self.ns.get(name)


class Scorer(kit.RewardModelBase):
    """The reward model in here. Right-padded batches only: no others are made by the kit's scoring."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, T), (B, T) -> (B,)."""
        hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        ends = attention_mask.sum(dim=1) - 1
        return self.score(hidden[torch.arange(len(ends), device=ends.device), ends]).squeeze(-1)


class GivenReward(kit.RewardFunction):
    """A frozen reward model, and a bonus for replies that contain a phrase.

    Rounded, so that one reply has one reward whatever batch it was scored in: ties stay ties.
    """

    def __init__(self, model: Scorer, given: dict[str, Any], tokenizer: Any) -> None:
        super().__init__(model, given["mean"], given["std"], given["missing_eos_penalty"])
        self.phrase, self.bonus, self.tokenizer = given["phrase"], given["bonus"], tokenizer

    def __call__(self, prompt_ids: Ids, response_ids: Ids) -> Tensor:
        """Rewards (B,), on the CPU, without gradient."""
        texts = [
            self.tokenizer.decode([int(t) for t in reply], skip_special_tokens=True) for reply in response_ids
        ]
        bonus = self.bonus * torch.tensor([float(self.phrase in text) for text in texts])
        return (super().__call__(prompt_ids, response_ids) + bonus).round(decimals=REWARD_DECIMALS)


def build_lm(payload: dict[str, Any], tensors: dict[str, Tensor], prefix: str) -> GPT2LMHeadModel:
    """The language model whose weights were sent under `prefix`, in eval mode."""
    model = GPT2LMHeadModel(GPT2Config(**payload["model"]))
    return load_state(model, tensors, prefix).eval().to(payload["device"])


def build_reward(payload: dict[str, Any], tensors: dict[str, Tensor], lm: GPT2LMHeadModel) -> GivenReward:
    """The reward function whose weights were sent under "rm/"."""
    model = Scorer.from_lm(lm)
    load_state(model, tensors, "rm/")
    return GivenReward(model.to(payload["device"]), payload["reward"], kit.load_tokenizer())


def stage_config(kind: type, payload: dict[str, Any]) -> Any:
    """The config dataclass from its JSON form."""
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in payload["config"].items()
    }
    return kind(**values)


def begin(ns: Namespace, payload: dict[str, Any], report: Report, loop: str) -> tuple[RLHFPipeline, Watch]:
    """The kit's pipeline on the student's slots, with a Watch in place of the loop that it watches."""
    watch = Watch(ns.get(loop), payload["snapshots"], report)
    slots = Slots(ns, {loop: watch})
    pipeline = RLHFPipeline(slots, kit.get_profile(), kit.load_tokenizer(), device=payload["device"])
    return pipeline, watch


@op("stage_sft")
def stage_sft(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Answer:
    """Fine-tune "lm/" on payload["rows"] (Dolly's columns) with T01, T03, T04 and T05."""
    pipeline, watch = begin(ns, payload, report, "train_sft")
    lm = build_lm(payload, tensors, "lm/")
    pipeline.run_sft(lm, payload["rows"], stage_config(kit.SFTConfig, payload), watch.on_step)
    return watch.result()


@op("stage_rm")
def stage_rm(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Answer:
    """Train a reward model from "lm/" on payload["rows"] (HH dialogues) with T02, T06, T07 and T09."""
    pipeline, watch = begin(ns, payload, report, "train_reward_model")
    lm = build_lm(payload, tensors, "lm/")
    pipeline.run_reward_model(lm, payload["rows"], stage_config(kit.RMConfig, payload), watch.on_step)
    return watch.result()


@op("stage_ppo")
def stage_ppo(ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report) -> Answer:
    """Train a policy from "lm/" against the reward of "rm/" on payload["prompts"] with T10 to T14."""
    pipeline, watch = begin(ns, payload, report, "train_ppo")
    lm = build_lm(payload, tensors, "lm/")
    reward = build_reward(payload, tensors, lm)
    pipeline.run_ppo(lm, reward, payload["prompts"], stage_config(kit.PPOConfig, payload), watch.on_step)
    return watch.result()


@op("stage_compare")
def stage_compare(
    ns: Namespace, payload: dict[str, Any], tensors: dict[str, Tensor], report: Report
) -> Answer:
    """T15 on the policies named in payload["policies"] (their weights under "name/"), scored by "rm/"."""
    models = {name: build_lm(payload, tensors, f"{prefix}/") for name, prefix in payload["policies"].items()}
    reward = build_reward(payload, tensors, next(iter(models.values())))
    policies = {name: kit.freeze(kit.Policy(lm)) for name, lm in models.items()}
    prompts = [list(prompt) for prompt in payload["prompts"]]
    config = stage_config(kit.EvalConfig, payload)
    return comparison_answer(ns.get("compare_policies")(policies, prompts, reward, config))
