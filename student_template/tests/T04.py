"""Public check of T04: the SFT loss on numbers that can be worked out by hand."""

import math

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "T04"
points = None

V = 5
LABELS = torch.tensor([[-100, -100, 3, -100, -100], [-100, 4, 2, 4, -100]])
P_ROW = (0.5, 0.125)  # probability of each right token, row by row
SUM = math.log(2) + 3 * math.log(8)  # what these four tokens cost together
WHERE = "Logits (2, 5, 5), four labels"


def logits_for(labels, probabilities):
    """Return logits that give the label at t + 1 this probability at position t, and are uniform elsewhere."""
    logits = torch.zeros(*labels.shape, V)
    for b, p in enumerate(probabilities):
        for t in range(labels.shape[1] - 1):
            if labels[b, t + 1] >= 0:
                logits[b, t, labels[b, t + 1]] = math.log((V - 1) * p / (1 - p))
    return logits


@test_case(name="position t predicts token t + 1")
def check_shift(sft_loss):
    labels = torch.tensor([[2, 3, 4, 2, 2, 3]])
    copy = torch.nn.functional.one_hot(labels, V).float() * 20
    models = {  # which token a model is sure of at each position, and what a loss near 0 on it means
        "": copy.roll(-1, 1),
        "Position t predicts the next token; yours is compared with the token it has just read.": copy,
        "Your labels are shifted by two positions: each shift happens once, and only in one place.": copy.roll(-2, 1),
        "Your logits are compared with the token before them; which token does position t predict?": copy.roll(1, 1),
    }
    losses = [float(sft_loss(logits, labels).detach()) for logits in models.values()]
    low = [text for text, loss in zip(models, losses) if abs(loss) < 0.01]
    assert low == [""], (low[0] + " " if len(low) == 1 else "") + (
        "Logits (1, 6, 5) that are sure of the next token must have a loss near 0, and those sure of another a high one. Your "
        f"losses for the next token, the token itself, the one after next, the one before: {[round(x, 3) for x in losses]}."
    )


@test_case(name="the value, and its shape")
def check_value(sft_loss):
    loss = sft_loss(torch.zeros(2, 5, V), LABELS)
    assert isinstance(loss, torch.Tensor) and loss.numel() == 1, "Return a tensor with a single number."
    wanted = math.log(V)
    assert near(float(loss), wanted, 1e-5), explain(
        float(loss), wanted, f"{WHERE}, all {V} tokens alike: ln {V} per token", {
        "Your logarithm has base 2; nats are asked for.": math.log2(V),
    }, 1e-5)


@test_case(name="mean over tokens")
def check_token_mean(sft_loss):
    loss = float(sft_loss(logits_for(LABELS, P_ROW), LABELS))
    padded = "Divide by the number of real tokens, not by the padded length."
    counted = "Positions without a label take part in your loss: padding and prompt must not count."
    assert near(loss, SUM / 4, 1e-5), explain(loss, SUM / 4, f"{WHERE}: one at probability 1/2, three at 1/8", [
        ("Average over all answer tokens, so long answers weigh more.", 0.5 * (math.log(2) + math.log(8))),
        (padded, SUM / 8),  # 8 positions after the shift
        (padded, SUM / 10),
        (counted, (SUM + 4 * math.log(V)) / 8),  # as labels of 0, with their number or without
        (counted, (SUM + 4 * math.log(V)) / 4),
        ("Your loss grows with the number of tokens; the step size would depend on the batch.", SUM),
        ("Your loss is divided by the number of rows, not of tokens.", SUM / 2),
    ], 1e-5)


@test_case(name="labels of -100 do not count")
def check_ignore(sft_loss):
    logits = logits_for(LABELS, P_ROW)
    before = float(sft_loss(logits, LABELS))
    noisy = logits.clone()
    noisy[0, 2:] = torch.randn(3, V) * 9
    noisy[:, 4] = 50.0
    noisy[0, 0] = torch.randn(V) * 9
    after = float(sft_loss(noisy, LABELS))
    counted = "Positions without a label take part in your loss: padding and prompt must not count. "
    assert near(after, before, 1e-5), (counted if near(before, SUM / 4) else "") + explain(
        after, before, f"{WHERE}: your loss with other logits where the next label is -100", within=1e-5
    )
    longer = torch.cat([logits, torch.randn(2, 3, V)], dim=1)
    more = torch.cat([LABELS, torch.full((2, 3), -100)], dim=1)
    after = float(sft_loss(longer, more))
    assert near(after, before, 1e-5), explain(
        after, before, f"{WHERE}: your loss with three more columns of padding", within=1e-5
    )


@test_case(name="large logits")
def check_stable(sft_loss):
    logits = torch.zeros(1, 2, V)
    logits[0, 0, 3] = 1000.0
    loss = float(sft_loss(logits, torch.tensor([[-100, 2]])))
    assert near(loss, 1000.0), explain(
        loss, 1000.0, "Logits (1, 2, 5), of which one is 1000, and another token's label", {
        "With large logits your loss is infinite: there is a form of log-softmax that never takes the log of 0.":
            math.inf,
    })


@test_case(name="gradient")
def check_gradient(sft_loss):
    logits = torch.zeros(2, 5, V, requires_grad=True)
    loss = sft_loss(logits, LABELS)
    assert loss.requires_grad, (
        "The number is right, but nothing can be learned from it: somewhere the graph is cut."
        if near(float(loss), math.log(V))
        else "Your loss has no graph: nothing can be learned from it."
    )
    loss.backward()
    assert logits.grad is not None, "No gradient reaches the logits."
    found, wanted = logits.grad[1, 0], [0.05, 0.05, 0.05, 0.05, -0.2]  # (1/5, less 1 for the label) / 4 tokens
    assert near(found, wanted), explain(
        found, wanted, f"{WHERE}, all zero: gradient on the logits of row 1, position 0"
    )
    found = logits.grad[0, 3]
    assert near(found, [0.0] * V), explain(found, [0.0] * V, f"{WHERE}: gradient where the next label is -100")


@test_case(name="a batch with nothing to learn")
def check_empty(sft_loss):
    logits = torch.randn(2, 4, V, requires_grad=True)
    loss = sft_loss(logits, torch.full((2, 4), -100))
    found = float(loss.detach())
    assert found == 0.0, (
        "An empty batch has no mean: see what yours gives when every label is masked. " if math.isnan(found) else ""
    ) + explain(found, 0.0, "Logits (2, 4, 5), every label -100")
    assert loss.requires_grad, "The 0 must still carry a graph, so that backward() works on it."
    loss.backward()
    assert logits.grad is not None and logits.grad.abs().max() == 0, "The gradient of a batch without a label is 0."
