"""Public check of T07: the Bradley-Terry loss."""

import math

import torch
from otter.test_files import test_case

name = "T07"
points = None


def close(value, wanted):
    return abs(float(value) - wanted) < 1e-5 * max(1.0, abs(wanted))


@test_case(name="values by hand")
def check_values(bradley_terry_loss):
    zero = torch.zeros(3)
    loss = bradley_terry_loss(zero, zero)
    assert loss.shape == (), "Return one number for the batch, shape ()."
    assert close(loss, math.log(2)), "Equal scores mean a coin toss: the loss is ln 2."
    gap = torch.full((1,), math.log(3))
    loss = bradley_terry_loss(gap, torch.zeros(1))
    assert not close(loss, math.log(4)), "Your loss rewards the rejected answer."
    assert close(loss, math.log(4 / 3)), "A gap of ln 3 means probability 3/4 for the chosen reply: loss ln(4/3)."


@test_case(name="mean over pairs")
def check_mean(bradley_terry_loss):
    chosen, rejected = torch.tensor([math.log(3), 0.0]), torch.tensor([0.0, math.log(3)])
    loss = bradley_terry_loss(chosen, rejected)
    twice = bradley_terry_loss(chosen.repeat(2), rejected.repeat(2))
    assert close(twice, float(loss)), "The loss must not depend on the batch size."
    assert close(loss, 0.5 * (math.log(4 / 3) + math.log(4))), "Average over the pairs of the batch."


@test_case(name="only differences matter")
def check_shift(bradley_terry_loss):
    chosen, rejected = torch.tensor([1.5, -0.5, 0.25]), torch.tensor([0.5, 1.0, 0.125])
    before = float(bradley_terry_loss(chosen, rejected))
    after = float(bradley_terry_loss(chosen + 2, rejected + 2))
    assert close(after, before), (
        "Only differences matter in this model: add a constant to both scores and watch your loss."
    )


@test_case(name="margin")
def check_margin(bradley_terry_loss):
    gap, zero = torch.full((2,), math.log(3)), torch.zeros(2)
    loss = bradley_terry_loss(gap, zero, margin=math.log(3))
    assert not close(loss, float(bradley_terry_loss(gap, zero))), "With a margin your loss is the same as without one."
    assert float(loss) > float(bradley_terry_loss(gap, zero)), (
        "A margin should make a pair harder to satisfy; yours makes it easier."
    )
    assert close(loss, math.log(2)), "A margin as large as the gap leaves nothing of it: the loss is ln 2 again."


@test_case(name="large gaps")
def check_stable(bradley_terry_loss):
    chosen = torch.tensor([-600.0, 600.0], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.zeros(2))
    assert torch.isfinite(loss), (
        "Use a stable form; the plain one overflows on confident mistakes."
    )
    assert close(loss.detach(), 300.0), "A wrong gap of 600 and a right gap of 600 average to 300."
    loss.backward()
    assert torch.isfinite(chosen.grad).all(), "The gradient of a large gap is not finite."
    assert close(chosen.grad[0], -0.5), "A wrong pair pulls its chosen score up, however large the gap."


@test_case(name="gradient")
def check_gradient(bradley_terry_loss):
    chosen, rejected = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    bradley_terry_loss(chosen, rejected).backward()
    assert chosen.grad is not None and rejected.grad is not None, "Both scores must receive a gradient."
    assert (chosen.grad < 0).all() and (rejected.grad > 0).all(), "Downhill means: chosen up, rejected down."
