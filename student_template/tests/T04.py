"""Public check of T04: the SFT loss on numbers that can be worked out by hand."""

import math

import torch
from otter.test_files import test_case

name = "T04"
points = None

V = 5
LABELS = torch.tensor([[-100, -100, 3, -100, -100], [-100, 4, 2, 4, -100]])
P_ROW = (0.5, 0.125)  # probability of each right token, row by row


def logits_for(labels, probabilities):
    """Return logits that give the label at t + 1 this probability at position t, and are uniform elsewhere."""
    logits = torch.zeros(*labels.shape, V)
    for b, p in enumerate(probabilities):
        for t in range(labels.shape[1] - 1):
            if labels[b, t + 1] >= 0:
                logits[b, t, labels[b, t + 1]] = math.log((V - 1) * p / (1 - p))
    return logits


def close(value, wanted):
    return abs(float(value) - wanted) < 1e-5 * max(1.0, abs(wanted))


@test_case(name="position t predicts token t + 1")
def check_shift(sft_loss):
    labels = torch.tensor([[2, 3, 4, 2]])
    sure = logits_for(labels, (0.999,))
    copy = torch.nn.functional.one_hot(labels, V).float() * 20
    known = {  # what a loss near 0 on a model that knows another token than the next one means
        "Position t predicts the next token; yours is compared with the token it has just read.": copy,
        "Your labels are shifted by two positions: each shift happens once, and only in one place.": copy.roll(-2, 1),
        "Your logits are compared with the token before them; which token does position t predict?": copy.roll(1, 1),
    }
    seen = [text for text, logits in known.items() if abs(float(sft_loss(logits, labels))) < 0.01]
    assert float(sft_loss(sure, labels)) < 0.01, (
        seen[0] if seen else "A model that predicts each next token must have a loss near 0."
    )
    assert float(sft_loss(copy, labels)) > 5, "A model that only copies its input gets a low loss from you: no shift?"


@test_case(name="the value, and its shape")
def check_value(sft_loss):
    loss = sft_loss(torch.zeros(2, 5, V), LABELS)
    assert isinstance(loss, torch.Tensor) and loss.numel() == 1, "Return a tensor with a single number."
    assert close(loss, math.log(V)), f"Uniform predictions over {V} tokens cost ln {V} = {math.log(V):.3f} per token."


@test_case(name="mean over tokens")
def check_token_mean(sft_loss):
    loss = sft_loss(logits_for(LABELS, P_ROW), LABELS)
    rows = 0.5 * (math.log(2) + math.log(8))
    assert not close(loss, rows), "Average over all answer tokens, so long answers weigh more."
    assert float(loss) > 1.2, "Divide by the number of real tokens, not by the padded length."
    assert close(loss, (math.log(2) + 3 * math.log(8)) / 4), "One token at probability 1/2 and three at 1/8: 1.733 on average."


@test_case(name="labels of -100 do not count")
def check_ignore(sft_loss):
    logits = logits_for(LABELS, P_ROW)
    before = sft_loss(logits, LABELS)
    noisy = logits.clone()
    noisy[0, 2:] = torch.randn(3, V) * 9
    noisy[:, 4] = 50.0
    noisy[0, 0] = torch.randn(V) * 9
    assert close(sft_loss(noisy, LABELS), float(before)), (
        "Positions without a label take part in your loss: padding and prompt must not count."
    )
    longer = torch.cat([logits, torch.randn(2, 3, V)], dim=1)
    padded = torch.cat([LABELS, torch.full((2, 3), -100)], dim=1)
    assert close(sft_loss(longer, padded), float(before)), "More padding changed your loss."


@test_case(name="gradient")
def check_gradient(sft_loss):
    logits = torch.zeros(2, 5, V, requires_grad=True)
    loss = sft_loss(logits, LABELS)
    assert loss.requires_grad, "The number is right, but nothing can be learned from it: somewhere the graph is cut."
    loss.backward()
    assert logits.grad is not None, "No gradient reaches the logits."
    assert logits.grad[1, 0, 4] < 0 and logits.grad[1, 0, 2] > 0, "The step downhill must raise the right token's logit."
    assert logits.grad[0, 3].abs().max() == 0, "A position whose next label is -100 must have no gradient."


@test_case(name="a batch with nothing to learn")
def check_empty(sft_loss):
    logits = torch.randn(2, 4, V, requires_grad=True)
    loss = sft_loss(logits, torch.full((2, 4), -100))
    assert float(loss.detach()) == 0.0, (
        "An empty batch has no mean: see what yours gives when every label is masked. Here it is 0."
    )
    assert loss.requires_grad, "The 0 must still carry a graph, so that backward() works on it."
    loss.backward()
    assert logits.grad is not None and logits.grad.abs().max() == 0, "Its gradient is 0."
