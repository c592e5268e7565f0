"""Public check of T10: log-probabilities of given tokens."""

import math

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "T10"
points = None

LOGITS = torch.tensor([[[0.0, math.log(2), math.log(5)], [math.log(6), 0.0, 0.0]],
                       [[0.0, 0.0, math.log(2)], [math.log(3), math.log(4), 0.0]]])
TOKENS = torch.tensor([[1, 2], [2, 0]])
WANTED = torch.tensor([[2 / 8, 1 / 8], [2 / 4, 3 / 8]]).log()
AT = (torch.tensor([[0, 0], [1, 1]]), torch.tensor([[0, 1], [0, 1]]), TOKENS)  # row, position and token of each number
DIMENSION = "The softmax runs over the vocabulary; yours runs over another dimension."


@test_case(name="values by hand")
def check_values(token_logprobs):
    result = token_logprobs(LOGITS, TOKENS)
    assert isinstance(result, torch.Tensor), f"Return a tensor, not {type(result).__name__}."
    assert result.shape == (2, 2), f"One number per token: shape (B, T) = (2, 2), not {tuple(result.shape)}."
    again = "In this function logits[:, t] scores tokens[:, t]: the caller shifts, you must not shift again."
    assert near(result, WANTED, 1e-5), explain(result, WANTED, "Logits (2, 2, 3), tokens (2, 2)", [
        ("Your numbers lie between 0 and 1; a log-probability is never positive.", WANTED.exp()),
        ("Cross-entropy is a loss: the sign of your numbers is that of a loss, not of a log-probability.", -WANTED),
        ("Normalise before you gather: add a constant to all logits and your numbers change.", LOGITS[AT]),
        ("Score the token that was sampled, not the one with the highest probability.", LOGITS.log_softmax(2).amax(2)),
        (DIMENSION, LOGITS.log_softmax(1)[AT]),
        (DIMENSION, LOGITS.log_softmax(0)[AT]),
        (again, LOGITS.log_softmax(2).flip(1)[AT]),
        ("Your logarithm has base 2; nats are asked for.", WANTED / math.log(2)),
    ], 1e-5)


@test_case(name="one reply, one token")
def check_small(token_logprobs):
    for batch, length in ((1, 2), (2, 1), (1, 1)):
        result = token_logprobs(LOGITS[:batch, :length], TOKENS[:batch, :length])
        assert result.shape == (batch, length), (
            "Your result loses dimensions of size 1: a squeeze without a dimension removes all of them. "
            if result.shape == torch.zeros(batch, length).squeeze().shape else ""
        ) + f"Logits ({batch}, {length}, 3) give shape ({batch}, {length}), not {tuple(result.shape)}."


@test_case(name="normalised")
def check_normalised(token_logprobs):
    moved = LOGITS + torch.tensor([[[3.0], [-2.0]], [[0.5], [40.0]]])
    result = token_logprobs(moved, TOKENS)
    assert near(result, WANTED), explain(result, WANTED, "Logits (2, 2, 3) with a constant added at each position", [
        ("Normalise before you gather: add a constant to all logits and your numbers change.", moved[AT]),
        (DIMENSION, moved.log_softmax(1)[AT]),
        (DIMENSION, moved.log_softmax(0)[AT]),
    ])
    total = sum(token_logprobs(LOGITS, torch.full((2, 2), v)).exp() for v in range(3))
    assert near(total, torch.ones(2, 2)), explain(
        total, torch.ones(2, 2), "Probabilities of each position, summed over the vocabulary"
    )


@test_case(name="large logits")
def check_stable(token_logprobs):
    result = token_logprobs(LOGITS * 1000, TOKENS).flatten()
    wanted = [-1000 * math.log(2.5), -1000 * math.log(6), 0.0, -1000 * math.log(4 / 3)]
    assert near(result, wanted), explain(result, wanted, "Logits (2, 2, 3) times 1000", {
        "With large logits you take the logarithm of 0; there is a form of log-softmax that never does.":
            (LOGITS * 1000).softmax(2).log()[AT].flatten(),
    })


@test_case(name="gradient")
def check_gradient(token_logprobs):
    logits = LOGITS.clone().requires_grad_(True)
    result = token_logprobs(logits, TOKENS)
    assert result.requires_grad, (
        "The numbers are right, but the policy cannot learn through them: somewhere the graph is cut."
        if near(result, WANTED) else "Your result has no graph: nothing can be learned through it."
    )
    result.sum().backward()
    found, wanted = logits.grad[0, 0], [-1 / 8, 1 - 2 / 8, -5 / 8]  # 1 for the token, less the probabilities
    assert near(found, wanted), explain(found, wanted, "Gradient of token 1's log-probability on its 3 logits")
