"""The loops with model and batches on a CUDA device."""

from __future__ import annotations

import pytest
import torch

import rlhf_kit as kit
from rlhf_kit.table_models import BigramLM, BigramPolicy, LastTokenReward

V = 6
SETTINGS = {"learning_rate": 0.05, "warmup_steps": 2, "epochs": 2, "batch_size": 2}

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_sft_and_reward_model_train_on_the_gpu_from_batches_on_the_cpu(reference):
    ids, mask = kit.pad_sequences([[2, 3, 4, 0], [3, 5, 0]], kit.PAD_ID)
    batch = {"input_ids": ids, "attention_mask": mask, "labels": torch.where(mask == 1, ids, -100)}
    losses = reference["train_sft"](BigramLM(torch.zeros(V, V)).cuda(), [batch] * 3, kit.SFTConfig(**SETTINGS))
    assert losses[-1] < losses[0]
    pair = {f"{side}_{key}": batch[key] for side in ("chosen", "rejected") for key in ("input_ids", "attention_mask")}
    pair["rejected_input_ids"] = pair["rejected_input_ids"].flip(0).clone()
    model = LastTokenReward(torch.linspace(0, 1, V)).cuda()
    assert len(reference["train_reward_model"](model, [pair] * 3, kit.RMConfig(**SETTINGS))) == 6


def test_ppo_and_the_comparison_run_on_the_gpu_with_rewards_on_the_cpu(reference):
    weight = torch.randn(V, V)
    policy, other = BigramPolicy(weight).cuda(), BigramPolicy(weight).cuda()

    def reward(prompt_ids, response_ids):
        return torch.tensor([float(len(r)) for r in response_ids])

    config = kit.PPOConfig(
        steps=2,
        rollouts=8,
        ppo_epochs=2,
        minibatch_size=4,
        learning_rate=0.05,
        warmup_steps=1,
        beta=0.1,
        max_new_tokens=5,
    )
    prompts = [[2, a] for a in (2, 3, 4, 5)]
    rows = reference["train_ppo"](policy, kit.freeze(BigramLM(weight).cuda()), reward, prompts, config)
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    settings = kit.EvalConfig(max_new_tokens=5, bootstrap=50)
    table = reference["compare_policies"]({"SFT": other, "RL": policy}, prompts, reward, settings)
    assert [row["name"] for row in table] == ["SFT", "RL"]
