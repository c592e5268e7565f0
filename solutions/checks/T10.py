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
    result = token_logprobs(LOGITS, TOKENS).to(WANTED.dtype)
    assert result.shape == (2, 2), f"One number per token: shape (B, T) = (2, 2), not {tuple(result.shape)}."
    probabilities = bool((result >= 0).all() and (result <= 1).all())
    assert not probabilities, "Your numbers lie between 0 and 1; a log-probability is never positive."
    assert not torch.allclose(result, -WANTED, atol=1e-6), (
        "Cross-entropy is a loss: the sign of your numbers is that of a loss, not of a log-probability."
    )
    assert (result <= 1e-6).all(), "Log-probabilities are never positive: normalise before you pick the token."
    best = LOGITS.log_softmax(-1).max(-1).values
    assert not torch.allclose(result, best), (
        "Score the token that was sampled, not the one with the highest probability."
    )
    assert torch.allclose(result, WANTED, atol=1e-6), "Logits at t score the token at t: the caller has shifted already."


@test_case(name="normalised")
def check_normalised(token_logprobs):
    moved = LOGITS + torch.tensor([[[3.0], [-2.0]], [[0.5], [40.0]]])
    assert torch.allclose(token_logprobs(moved, TOKENS).to(WANTED.dtype), WANTED, atol=1e-4), (
        "Normalise before you gather: add a constant to all logits and your numbers change."
    )
    total = sum(token_logprobs(LOGITS, torch.full((2, 2), v)).exp() for v in range(3))
    assert torch.allclose(total.float(), torch.ones(2, 2), atol=1e-5), "Over the vocabulary the probabilities must sum to 1."


@test_case(name="large logits")
def check_stable(token_logprobs):
    result = token_logprobs(LOGITS * 1000, TOKENS)
    assert torch.isfinite(result).all(), (
        "With large logits you take the logarithm of 0; there is a form of log-softmax that never does."
    )
    assert abs(float(result[0, 0]) + 1000 * math.log(2.5)) < 0.1, "The log-probability of an unlikely token is wrong."


@test_case(name="gradient")
def check_gradient(token_logprobs):
    logits = LOGITS.clone().requires_grad_(True)
    total = token_logprobs(logits, TOKENS).sum()
    assert total.requires_grad, "The numbers are right, but the policy cannot learn through them: somewhere the graph is cut."
    total.backward()
    assert logits.grad[0, 0, 1] > 0 > logits.grad[0, 0, 2], "Raising a token's logit raises its own log-probability alone."
