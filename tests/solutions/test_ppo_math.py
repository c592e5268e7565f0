"""T11–T13 against sums written out token by token, in float64."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rlhf_kit as kit

CONFIG = dataclasses.replace(kit.get_profile().ppo, clip_range=0.2, value_clip=0.25, value_coef=0.3)


def batch(seed, n=4, rows=3, columns=7):
    """Draw n random (B, T) tensors, and a mask with one run of response tokens per row, at any offset."""
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(rows, columns, generator=generator, dtype=torch.float64) for _ in range(n)]
    mask = torch.zeros(rows, columns)
    for b in range(rows):
        first, last = sorted(torch.randint(0, columns, (2,), generator=generator).tolist())
        mask[b, first : last + 1] = 1
    return tensors, mask


def runs(mask):
    return [(b, [t for t in range(mask.shape[1]) if mask[b, t]]) for b in range(mask.shape[0])]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), beta=st.floats(0, 2))
def test_rewards_are_the_penalty_plus_the_score_at_the_end(reference, seed, beta):
    (logprobs, ref), mask = batch(seed, 2)
    scores = torch.tensor([1.5, -0.5, 4.0], dtype=torch.float64)
    expected = torch.zeros_like(logprobs)
    for b, columns in runs(mask):
        for t in columns:
            expected[b, t] = -beta * (logprobs[b, t] - ref[b, t]) + (scores[b] if t == columns[-1] else 0.0)
    found = reference["shape_rewards"](scores, logprobs, ref, mask, beta)
    assert torch.allclose(found, expected, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), gamma=st.floats(0, 1), lam=st.floats(0, 1))
def test_gae_is_the_discounted_sum_of_td_errors(reference, seed, gamma, lam):
    (rewards, values), mask = batch(seed, 2)
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for b, columns in runs(mask):
        deltas = {
            t: rewards[b, t] + gamma * (values[b, t + 1] if t != columns[-1] else 0.0) - values[b, t] for t in columns
        }
        for t in columns:
            advantages[b, t] = sum((gamma * lam) ** (s - t) * deltas[s] for s in columns if s >= t)
            returns[b, t] = advantages[b, t] + values[b, t]
    found = reference["gae"](rewards, values, mask, gamma, lam)
    assert torch.allclose(found[0], advantages, atol=1e-10)
    assert torch.allclose(found[1], returns, atol=1e-10)


def loss_by_hand(tensors, mask):
    """Compute policy loss, value loss, approximate KL and clip fraction, term by term."""
    new, old, advantages, values, old_values, returns = tensors
    terms = []
    for b, columns in runs(mask):
        for t in columns:
            ratio, gain = math.exp(new[b, t] - old[b, t]), float(advantages[b, t])
            clipped = min(max(ratio, 0.8), 1.2)
            near = old_values[b, t] + min(max(values[b, t] - old_values[b, t], -0.25), 0.25)
            error = max((values[b, t] - returns[b, t]) ** 2, (near - returns[b, t]) ** 2)
            terms.append(
                (
                    -min(ratio * gain, clipped * gain),
                    0.5 * float(error),
                    float(old[b, t] - new[b, t]),
                    float(abs(ratio - 1) > 0.2),
                )
            )
    return [sum(column) / len(terms) for column in zip(*terms, strict=True)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_loss_is_the_clipped_objective_as_a_token_mean(reference, seed):
    tensors, mask = batch(seed, 6)
    tensors[0] = tensors[1] + 0.3 * tensors[0]  # ratios on both sides of the clip range
    policy_loss, value_loss, kl, clipped = loss_by_hand(tensors, mask)
    loss, stats = reference["ppo_loss"](*tensors, mask, CONFIG)
    assert loss.item() == pytest.approx(policy_loss + 0.3 * value_loss, abs=1e-10)
    expected = {"policy_loss": policy_loss, "value_loss": value_loss, "approx_kl": kl, "clip_fraction": clipped}
    assert stats == pytest.approx(expected, abs=1e-6)  # the share is a float32 division


def test_the_loss_has_the_gradient_of_finite_differences(reference):
    tensors, mask = batch(5, 6)
    tensors[0] = tensors[1] + 0.3 * tensors[0]
    for moving in (0, 3):  # log-probabilities, values
        tensors[moving] = tensors[moving].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda new, values: reference["ppo_loss"](
            new, tensors[1], tensors[2], values, tensors[4], tensors[5], mask, CONFIG
        )[0],
        (tensors[0], tensors[3]),
    )


def test_nothing_outside_the_mask_matters_even_if_it_is_not_finite(reference):
    tensors, mask = batch(7, 6)
    loss, _ = reference["ppo_loss"](*tensors, mask, CONFIG)
    spoiled = [torch.where(mask == 1, x, math.nan).requires_grad_(True) for x in tensors]
    again, _ = reference["ppo_loss"](*spoiled, mask, CONFIG)
    again.backward()
    assert again.item() == loss.item()
    assert torch.isfinite(spoiled[0].grad).all()


def test_a_batch_without_response_tokens_gives_zero(reference):
    tensors, mask = batch(9, 6)
    loss, stats = reference["ppo_loss"](*[x.requires_grad_(True) for x in tensors], 0 * mask, CONFIG)
    loss.backward()
    assert loss.item() == 0
    assert set(stats.values()) == {0.0}
