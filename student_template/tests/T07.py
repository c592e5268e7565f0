"""Public check of T07: the Bradley-Terry loss."""

import math

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "T07"
points = None

GAP = math.log(3)  # the chosen reply has probability 3/4
RIGHT, WRONG = math.log(4 / 3), math.log(4)


def number(loss):
    assert isinstance(loss, torch.Tensor) and loss.shape == (), (
        f"Return one number for the batch, a tensor of shape (); you return {getattr(loss, 'shape', type(loss).__name__)}."
    )
    return float(loss.detach())


@test_case(name="values by hand")
def check_values(bradley_terry_loss):
    found = [number(bradley_terry_loss(torch.full((n,), 1 + gap), torch.ones(n))) for n, gap in ((3, 0.0), (1, GAP))]
    sigmoids = 1 / (1 + math.exp(-1 - GAP)) - 1 / (1 + math.exp(-1))
    wanted = [math.log(2), RIGHT]
    assert near(found, wanted, 1e-5), explain(
        found, wanted, "Losses of scores 1 and 1 (ln 2), and of 1 + ln 3 and 1 (ln 4/3)", {
        "Your loss rewards the rejected answer.": [math.log(2), WRONG],
        "You average probabilities; a log-likelihood averages their logarithms.": [-0.5, -0.75],
        "Your loss has the wrong sign: it is a log-likelihood, which grows where the model is right.":
            [-math.log(2), -RIGHT],
        "Your loss is exactly 0 for pairs that are right by enough; the Bradley-Terry likelihood never is.": [1.0, 0.0],
        "Only differences matter in this model: add a constant to both scores and watch your loss.":
            [1.0, GAP**2 + 1],
        "Your scores pass through a sigmoid twice: gaps beyond a few units all look alike.":
            [math.log(2), math.log1p(math.exp(-sigmoids))],
        "The loss must not depend on the batch size.": [3 * math.log(2), RIGHT],
        "Your logarithm has base 2; nats are asked for.": [1.0, math.log2(4 / 3)],
    }, 1e-5)


@test_case(name="mean over pairs")
def check_mean(bradley_terry_loss):
    chosen, rejected = torch.tensor([GAP, 0.0]), torch.tensor([0.0, GAP])
    found = [number(bradley_terry_loss(chosen.repeat(n), rejected.repeat(n))) for n in (1, 2)]
    mean = 0.5 * (RIGHT + WRONG)
    assert near(found, [mean, mean], 1e-5), explain(
        found, [mean, mean], "Losses of 2 pairs with gaps ln 3 and -ln 3, and of 4: each pair twice", {
        "The loss must not depend on the batch size.": [2 * mean, 4 * mean],
        "You take the loss of the mean gap; the mean of the losses is asked for.": [math.log(2), math.log(2)],
    }, 1e-5)


@test_case(name="only differences matter")
def check_shift(bradley_terry_loss):
    chosen, rejected = torch.tensor([1.5, -0.5, 0.25]), torch.tensor([0.5, 1.0, 0.125])
    before, after = (number(bradley_terry_loss(chosen + c, rejected + c)) for c in (0.0, 2.0))
    assert near(after, before, 1e-5), (
        "Only differences matter in this model: add a constant to both scores and watch your loss. "
        f"Here 2 is added to all scores of 3 pairs, and yours goes from {before:.4g} to {after:.4g}."
    )


@test_case(name="margin")
def check_margin(bradley_terry_loss):
    gap, zero = torch.full((2,), GAP), torch.zeros(2)
    found, wanted = number(bradley_terry_loss(gap, zero, margin=math.log(2))), math.log(5 / 3)
    assert near(found, wanted, 1e-5), explain(
        found, wanted, "Loss of two pairs with a gap of ln 3 and a margin of ln 2", {
        "With a margin your loss is the same as without one.": number(bradley_terry_loss(gap, zero)),
        "A margin should make a pair harder to satisfy; yours makes it easier.": math.log(7 / 6),
    }, 1e-5)


@test_case(name="large gaps")
def check_stable(bradley_terry_loss):
    chosen = torch.tensor([-600.0, 600.0], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.zeros(2))
    found = number(loss)
    assert near(found, 300.0), explain(found, 300.0, "Mean loss of a wrong gap of 600 and a right gap of 600", {
        "Use a stable form; the plain one overflows on confident mistakes.": math.inf,
    })
    loss.backward()
    assert near(chosen.grad, [-0.5, 0.0]), explain(
        chosen.grad, [-0.5, 0.0], "Gradients on the chosen scores of a wrong and a right gap of 600"
    )


@test_case(name="gradient")
def check_gradient(bradley_terry_loss):
    chosen, rejected = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    loss = bradley_terry_loss(chosen, rejected)
    number(loss)
    assert loss.requires_grad, "Your loss has no graph: nothing can be learned from it."
    loss.backward()
    assert chosen.grad is not None and rejected.grad is not None, "Both scores must receive a gradient."
    found, wanted = torch.stack([chosen.grad, rejected.grad]), torch.tensor([[-0.25, -0.25], [0.25, 0.25]])
    assert near(found, wanted), explain(found, wanted, "Gradients on chosen and rejected scores of two pairs, all 0", {
        "Your loss rewards the rejected answer.": -wanted,
    })
