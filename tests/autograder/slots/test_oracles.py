"""The oracles agree with PyTorch in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import GPT2Config, GPT2Model

from autograder.slots.hidden_tests.ppo import runs
from autograder.slots.oracles import comparison, gpt2, losses, ppo
from autograder.slots.oracles.adamw import AdamW

EPS = 1e-10


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def leaf(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


def test_sft_loss_and_gradient_agree_with_autograd(rng):
    logits, labels = rng.normal(size=(3, 7, 11)), rng.integers(0, 11, size=(3, 7))
    labels[0, :4] = labels[2, 5:] = -100
    value, gradient = losses.sft_loss(logits, labels)
    x = leaf(logits)
    loss = functional.cross_entropy(x[:, :-1].reshape(-1, 11), torch.tensor(labels[:, 1:]).reshape(-1))
    loss.backward()
    assert abs(value - loss.item()) < EPS
    assert np.abs(gradient - x.grad.numpy()).max() < EPS


def test_sft_loss_without_labels_is_zero_and_finite(rng):
    value, gradient = losses.sft_loss(rng.normal(size=(2, 4, 5)), np.full((2, 4), -100))
    assert value == 0
    assert not gradient.any()


def test_bradley_terry_agrees_with_autograd_and_survives_large_gaps(rng):
    chosen, rejected = rng.normal(size=6) * 100, rng.normal(size=6) * 100
    value, first, second = losses.bradley_terry(chosen, rejected, 0.7)
    x, y = leaf(chosen), leaf(rejected)
    loss = -functional.logsigmoid(x - y - 0.7).mean()
    loss.backward()
    assert abs(value - loss.item()) < 1e-8
    assert np.abs(first - x.grad.numpy()).max() < EPS
    assert np.abs(second - y.grad.numpy()).max() < EPS


def test_accuracy_splits_ties():
    assert losses.preference_accuracy(np.array([1.0, 0, 2, 3]), np.array([0.0, 1, 2, 3])) == 0.5


def test_token_logprobs_agree_with_autograd(rng):
    logits, tokens, weights = rng.normal(size=(2, 5, 7)), rng.integers(0, 7, (2, 5)), rng.normal(size=(2, 5))
    value, gradient = losses.token_logprobs(logits, tokens, weights)
    x = leaf(logits)
    found = x.log_softmax(-1).gather(-1, torch.tensor(tokens)[..., None])[..., 0]
    (found * torch.tensor(weights)).sum().backward()
    assert np.abs(value - found.detach().numpy()).max() < EPS
    assert np.abs(gradient - x.grad.numpy()).max() < EPS


def test_gae_agrees_with_the_recursion(rng):
    mask = runs(rng, 5, 9).astype(float)
    rewards, values = rng.normal(size=mask.shape) * mask, rng.normal(size=mask.shape)
    advantages, returns = ppo.gae(rewards, values, mask, 0.9, 0.7)
    for row in range(5):
        run, later, value = np.flatnonzero(mask[row]), 0.0, 0.0
        for t in run[::-1]:
            later = rewards[row, t] + 0.9 * value - values[row, t] + 0.9 * 0.7 * later
            value = values[row, t]
            assert abs(advantages[row, t] - later) < EPS
            assert abs(returns[row, t] - later - value) < EPS
    assert not advantages[mask == 0].any()
    assert not returns[mask == 0].any()


def test_gae_with_lambda_one_is_the_reward_to_go_minus_the_value(rng):
    rewards, values, mask = rng.normal(size=(1, 6)), rng.normal(size=(1, 6)), np.ones((1, 6))
    advantages, returns = ppo.gae(rewards, values, mask, 1.0, 1.0)
    assert np.allclose(returns, rewards[:, ::-1].cumsum(1)[:, ::-1])
    assert np.allclose(advantages, returns - values)


def test_shaped_rewards_sum_to_the_score_minus_the_penalty(rng):
    mask = runs(rng, 5, 9).astype(float)
    scores, logp, ref = rng.normal(size=5), rng.normal(size=mask.shape), rng.normal(size=mask.shape)
    rewards = ppo.shape_rewards(scores, logp, ref, mask, 0.3)
    assert np.allclose(rewards.sum(1), scores - 0.3 * ((logp - ref) * mask).sum(1))
    assert not rewards[mask == 0].any()


@pytest.mark.parametrize(
    ("advantage", "ratio", "loss", "gradient"),
    [(1, 1.5, -1.2, 0), (1, 0.5, -0.5, -0.5), (-1, 1.5, 1.5, 1.5), (-1, 0.5, 0.8, 0)],
)
def test_ppo_loss_at_the_four_corners_of_the_clip(advantage, ratio, loss, gradient):
    config = SimpleNamespace(clip_range=0.2, value_clip=0.2, value_coef=0.5)
    one = np.ones((1, 1))
    found = ppo.ppo_loss(np.log(ratio) * one, 0 * one, advantage * one, one, one, one, one, config)
    assert np.isclose(found["loss"], loss)
    assert np.isclose(found["gradient_logprobs"], gradient)  # of the log-probability: ratio times that of the ratio


def test_ppo_loss_agrees_with_autograd(rng):
    config = SimpleNamespace(clip_range=0.2, value_clip=0.3, value_coef=0.6)
    mask = runs(rng, 5, 9).astype(float)
    old, adv, values, returns = (rng.normal(size=mask.shape) for _ in range(4))
    new, old_values = old + 0.4 * rng.normal(size=mask.shape), values + 0.5 * rng.normal(size=mask.shape)
    found = ppo.ppo_loss(new, old, adv, values, old_values, returns, mask, config)
    x, v, m = leaf(new), leaf(values), torch.tensor(mask)
    ratio, a, r = (x - torch.tensor(old)).exp(), torch.tensor(adv), torch.tensor(returns)
    policy = -(torch.min(ratio * a, ratio.clamp(0.8, 1.2) * a) * m).sum() / m.sum()
    near = torch.tensor(old_values) + (v - torch.tensor(old_values)).clamp(-0.3, 0.3)
    value = 0.5 * (torch.max((v - r) ** 2, (near - r) ** 2) * m).sum() / m.sum()
    (policy + 0.6 * value).backward()
    assert np.isclose(found["policy_loss"], policy.item())
    assert np.isclose(found["value_loss"], value.item())
    assert np.abs(found["gradient_logprobs"] - x.grad.numpy()).max() < EPS
    assert np.abs(found["gradient_values"] - v.grad.numpy()).max() < EPS


def test_adamw_agrees_with_torch_over_clipped_and_free_steps(rng):
    config = SimpleNamespace(
        learning_rate=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2, warmup_steps=3, max_grad_norm=1.0
    )
    start = rng.normal(size=(3, 4))
    ours, theirs = AdamW({"w": start.copy()}, config), torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.AdamW([theirs], lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2)
    for k, size in enumerate((0.05, 3.0, 0.2, 2.0, 0.1)):
        gradient = size * rng.normal(size=start.shape)
        optimizer.param_groups[0]["lr"] = 0.1 * min(1, (k + 1) / 3)
        theirs.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_([theirs], 1.0)
        optimizer.step()
        ours.step({"w": gradient})
        assert np.abs(ours.parameters["w"] - theirs.detach().numpy()).max() < EPS


def test_the_gpt2_body_agrees_with_transformers_in_float64():
    config = GPT2Config(
        vocab_size=17, n_positions=12, n_embd=12, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2Model(config).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    ids = torch.tensor([[3, 1, 4, 1, 5, 9]])
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state[0].numpy()
    state = {name: x.numpy() for name, x in model.state_dict().items()}
    assert np.abs(gpt2.body(state, ids[0].numpy(), heads=3)[0] - expected).max() < 1e-9


def test_the_expected_score_agrees_with_many_samples(rng):
    vocab, limit, eos = 6, 5, 0
    table, tokens, start = rng.normal(size=(vocab, vocab)), rng.normal(size=vocab), rng.normal(size=(vocab, vocab))
    prob = np.exp(losses.log_softmax(table))
    scores = []
    for _ in range(4000):
        last, total = 3, 0.0
        for step in range(limit):
            token = rng.choice(vocab, p=prob[last])
            total += tokens[token] + (start[3, token] if step == 0 else 0.0)
            last = token
            if token == eos:
                break
        scores.append(total)
    mean, error = comparison.expected_score(table, tokens, start, [[2, 3]], limit, eos)
    assert abs(np.mean(scores) - mean) < 4 * error / np.sqrt(4000)
    assert abs(np.std(scores) / error - 1) < 0.06


def test_surprise_is_near_zero_for_samples_and_large_for_a_sharper_distribution(rng):
    table = rng.normal(size=(8, 8))

    def replies(temperature: float) -> list[list[int]]:
        prob = np.exp(losses.log_softmax(table / temperature))
        return [[int(rng.choice(8, p=prob[2]))] for _ in range(600)]

    prompts = [[2]] * 600
    assert abs(comparison.surprise(table, prompts, replies(1.0))) < 4
    assert comparison.surprise(table, prompts, replies(0.5)) > 5
