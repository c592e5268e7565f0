"""Public check of T10: log-probabilities of given tokens."""

import math

import torch
from otter.test_files import test_case

name = "T10"
points = None

LOGITS = torch.tensor([[[0.0, math.log(2), math.log(5)], [math.log(6), 0.0, 0.0]],
                       [[0.0, 0.0, math.log(2)], [math.log(3), math.log(4), 0.0]]])
TOKENS = torch.tensor([[1, 2], [2, 0]])
WANTED = torch.tensor([[2 / 8, 1 / 8], [2 / 4, 3 / 8]]).log()


@test_case(name="values by hand")
def check_values(token_logprobs):
    result = token_logprobs(LOGITS, TOKENS)
    assert result.shape == (2, 2), f"One number per token: shape (B, T) = (2, 2), not {tuple(result.shape)}."
    assert (result <= 1e-6).all(), "Log-probabilities are never positive: normalise before you pick the token."
    best = LOGITS.log_softmax(-1).max(-1).values
    assert not torch.allclose(result, best), "You score the most likely token; score the token that was sampled."
    assert torch.allclose(result, WANTED, atol=1e-6), "Logits at t score the token at t: the caller has shifted already."


@test_case(name="normalised")
def check_normalised(token_logprobs):
    moved = LOGITS + torch.tensor([[[3.0], [-2.0]], [[0.5], [40.0]]])
    assert torch.allclose(token_logprobs(moved, TOKENS), WANTED, atol=1e-4), (
        "Adding a constant to all logits of a position changes no probability; it changes your result."
    )
    total = sum(token_logprobs(LOGITS, torch.full((2, 2), v)).exp() for v in range(3))
    assert torch.allclose(total, torch.ones(2, 2), atol=1e-5), "Over the vocabulary the probabilities must sum to 1."


@test_case(name="large logits")
def check_stable(token_logprobs):
    result = token_logprobs(LOGITS * 1000, TOKENS)
    assert torch.isfinite(result).all(), "log(softmax(x)) overflows for large logits; use the stable form."
    assert abs(float(result[0, 0]) + 1000 * math.log(2.5)) < 0.1, "The log-probability of an unlikely token is wrong."


@test_case(name="gradient")
def check_gradient(token_logprobs):
    logits = LOGITS.clone().requires_grad_(True)
    token_logprobs(logits, TOKENS).sum().backward()
    assert logits.grad is not None, "The log-probabilities must carry a gradient: PPO learns through them."
    assert logits.grad[0, 0, 1] > 0 > logits.grad[0, 0, 2], "Raising a token's logit raises its own log-probability alone."
