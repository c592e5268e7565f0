"""T05, T06, T09 on small models: AdamW written out in NumPy, scores of single sequences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from rlhf_kit.table_models import BigramLM, LastTokenReward

V = 6
SETTINGS = {
    "learning_rate": 0.05,
    "warmup_steps": 3,
    "epochs": 2,
    "batch_size": 2,
    "weight_decay": 0.1,
    "max_grad_norm": 0.4,
    "betas": (0.8, 0.9),
    "eps": 1e-6,
}


def adamw(weight, gradients, config):
    """Compute AdamW (Loshchilov and Hutter 2019) with warm-up and clipping. A gradient is a function of the weight."""
    weight, first, second = weight.copy(), np.zeros_like(weight), np.zeros_like(weight)
    for k, gradient in enumerate(gradients):
        g = gradient(weight)
        g = g * min(1.0, config.max_grad_norm / (np.sqrt((g**2).sum()) + 1e-6))
        rate = config.learning_rate * min(1.0, (k + 1) / config.warmup_steps)
        weight = weight * (1 - rate * config.weight_decay)
        first = config.betas[0] * first + (1 - config.betas[0]) * g
        second = config.betas[1] * second + (1 - config.betas[1]) * g**2
        scaled = first / (1 - config.betas[0] ** (k + 1)), second / (1 - config.betas[1] ** (k + 1))
        weight = weight - rate * scaled[0] / (np.sqrt(scaled[1]) + config.eps)
    return weight


def bigram_gradient(rows):
    """Compute the gradient of a bigram table's token-mean cross-entropy. The first token of a row is the prompt."""
    steps = [(a, b) for row in rows for a, b in itertools.pairwise(row)]

    def gradient(weight):
        g = np.zeros_like(weight)
        for a, b in steps:
            p = np.exp(weight[a] - weight[a].max())
            g[a] += p / p.sum() - np.eye(V)[b]
        return g / len(steps)

    return gradient


def test_train_sft_makes_exactly_the_updates_of_adamw(reference):
    config = kit.SFTConfig(**SETTINGS)
    data = [[[2, 3, 4, 0], [3, 5, 0]], [[4, 2, 0], [5, 5, 3, 2, 0]], [[2, 0]]]
    start = torch.randn(V, V, generator=torch.Generator().manual_seed(1))
    batches = []
    for rows in data:
        ids, mask = kit.pad_sequences(rows, kit.PAD_ID)
        labels = torch.where(mask == 1, ids, kit.IGNORE_INDEX)
        labels[:, 0] = kit.IGNORE_INDEX
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    model = BigramLM(start)
    losses = reference["train_sft"](model, batches, config)
    expected = adamw(start.double().numpy(), [bigram_gradient(rows) for rows in data] * config.epochs, config)
    assert len(losses) == 6
    # Adam divides by the gradient's own size: rounding of 1e-7 in a gradient of 1e-3 shows as 1e-4 of a step
    assert np.abs(model.weight.detach().numpy() - expected).max() < 1e-4 * 6 * config.learning_rate


def test_train_reward_model_makes_exactly_the_updates_of_adamw(reference):
    config = kit.RMConfig(**SETTINGS)
    ends = [[(2, 3), (4, 3)], [(5, 2), (2, 3)], [(3, 4)]]  # last tokens of (chosen, rejected)

    def gradient(pairs):
        def of(weight):
            g = np.zeros_like(weight)
            for w, r in pairs:
                push = -1 / (1 + np.exp(weight[w] - weight[r])) / len(pairs)
                g[w] += push
                g[r] -= push
            return g

        return of

    batches = []
    for pairs in ends:
        batch = {}
        for side, name in enumerate(("chosen", "rejected")):
            rows = [[2] * (1 + i + side) + [pair[side]] for i, pair in enumerate(pairs)]
            ids, mask = kit.pad_sequences(rows, kit.PAD_ID)
            batch |= {f"{name}_input_ids": ids, f"{name}_attention_mask": mask}
        batches.append(batch)
    model = LastTokenReward(torch.linspace(-1, 1, V))
    reference["train_reward_model"](model, batches, config)
    expected = adamw(np.linspace(-1, 1, V), [gradient(pairs) for pairs in ends] * config.epochs, config)
    assert np.abs(model.weight.detach().numpy() - expected).max() < 1e-4 * 6 * config.learning_rate


@pytest.fixture(scope="module")
def reward_model(reference):
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=40,
        n_positions=32,
        n_embd=16,
        n_layer=2,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = reference["RewardModel"].from_lm(GPT2LMHeadModel(config)).eval()
    with torch.no_grad():
        model.transformer.wpe.weight.mul_(10)  # fresh position embeddings are too small to show a mistake
        model.score.weight.normal_()
    return model


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_score_of_a_text_does_not_depend_on_padding(reward_model, side):
    rows = [[3, 4, 5, 0], [6, 7, 8, 9, 10, 0], [11, 0], [12]]
    ids, mask = kit.pad_sequences(rows, kit.PAD_ID, side)
    with torch.no_grad():
        together = reward_model(input_ids=ids, attention_mask=mask)
        alone = [
            reward_model.score(reward_model.transformer(input_ids=torch.tensor([row])).last_hidden_state[0, -1])
            for row in rows
        ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_the_reward_model_adds_no_parameters(reward_model):
    assert {name.split(".")[0] for name, _ in reward_model.named_parameters()} == {"transformer", "score"}
