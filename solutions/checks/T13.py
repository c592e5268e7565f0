"""Public check of T13: the clipped loss at points where every term can be seen."""

import dataclasses
import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit

name = "T13"
points = None

CONFIG = dataclasses.replace(kit.get_profile().ppo, clip_range=0.2, value_clip=0.3, value_coef=0.5)


def run(ppo_loss, ratio=1.0, advantage=0.0, value=0.0, old_value=0.0, target=0.0, config=CONFIG):
    """The loss of a single token, its stats, and the gradients on log-probability and value."""
    one = torch.ones(1, 1)
    old = torch.full((1, 1), -1.0)
    new = (old + math.log(ratio)).requires_grad_(True)
    values = (one * value).requires_grad_(True)
    loss, stats = ppo_loss(new, old, one * advantage, values, one * old_value, one * target, one, config)
    loss.backward()
    grads = [0.0 if x.grad is None else float(x.grad) for x in (new, values)]
    return float(loss.detach()), stats, *grads


@test_case(name="the direction")
def check_direction(ppo_loss):
    _, _, grad, _ = run(ppo_loss, ratio=1.0, advantage=1.0)
    inverse = abs(run(ppo_loss, ratio=1.1, advantage=2.0)[0] + 2 / 1.1) < 1e-3
    assert grad != 0, "The new log-probs must carry the gradient."
    assert grad < 0, (
        "Your ratio is the reciprocal of what it should be." if inverse else "You push good actions down."
    )


@test_case(name="inside the clip range")
def check_inside(ppo_loss):
    loss, stats, grad, _ = run(ppo_loss, ratio=1.1, advantage=2.0)
    assert abs(loss - -2 / 1.1) > 1e-3, "Your ratio is the reciprocal of what it should be."
    assert abs(loss + 2.2) < 1e-5 and abs(grad + 2.2) < 1e-5, "Not clipped yet: the loss is -ratio * advantage."
    assert stats["clip_fraction"] == 0.0, "Nothing is clipped at a ratio of 1.1 with a range of 0.2."


@test_case(name="outside the clip range")
def check_outside(ppo_loss):
    for advantage, ratio, value, moves in ((3, 1.6, -3.6, False), (3, 0.4, -1.2, True),
                                           (-3, 1.6, 4.8, True), (-3, 0.4, 2.4, False)):
        loss, _, grad, _ = run(ppo_loss, ratio=ratio, advantage=advantage)
        where = f"advantage {advantage}, ratio {ratio}"
        assert (abs(grad) > 1e-6) == moves, f"{where}: " + (
            "Both terms are needed, then the pessimistic one: with one alone a policy that went wrong gets no "
            "gradient back." if moves
            else "Look at a small ratio with a negative advantage: your clip does not reach it." if advantage < 0
            else "Ratios far from 1 count in full: config.clip_range has no effect on your loss."
            if abs(run(ppo_loss, ratio=0.4, advantage=3)[0] + 1.2) < 1e-4
            else "Take the pessimistic side: yours is the optimistic one of the two terms."
        )
        assert abs(loss - value) < 1e-4, f"{where}: take the pessimistic one of the two terms; you have {loss:.2f}."


@test_case(name="value loss")
def check_value(ppo_loss):
    # old 0, prediction 0.5, target 1: clipped to 0.3, and the larger squared error counts, halved
    loss, stats, _, grad = run(ppo_loss, value=0.5, old_value=0.0, target=1.0)
    assert abs(stats["value_loss"] - 0.49) > 1e-4, "Your value loss is off by a constant factor: read its formula again."
    assert abs(stats["value_loss"] - 0.125) > 1e-4, (
        "config.value_clip has no effect on your value loss."
        if abs(run(ppo_loss, value=1.0, old_value=0.0, target=0.2)[1]["value_loss"] - 0.32) < 1e-5
        else "Take the larger of the two squared errors."
    )
    assert abs(stats["value_loss"] - 0.245) < 1e-5, "Half of the larger of the two squared errors."
    assert abs(loss - 0.1225) < 1e-5, "config.value_coef has no effect on your loss."
    _, stats, _, grad = run(ppo_loss, value=1.0, old_value=0.0, target=0.2)
    assert abs(stats["value_loss"] - 0.32) < 1e-5, (
        "The value loss needs both squared errors, the plain one and the clipped one."
    )
    assert grad > 0, "The value must be pulled towards its target."


@test_case(name="token means over the mask")
def check_mask(ppo_loss):
    zeros, mask = torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    advantages = torch.tensor([[8.0, 99.0, -90.0], [4.0, 2.0, 2.0]])
    loss, stats = ppo_loss(zeros, zeros, advantages, zeros, zeros, zeros, mask, CONFIG)
    assert abs(float(loss) + 16 / 3) > 1e-3, (
        "The handout asks for a mean over tokens; yours is a mean over sequences first."
    )
    assert abs(float(loss) + 4.0) < 1e-5, (
        "Divide by the number of response tokens, not by the size of the tensor."
        if abs(float(loss) + 16 / 6) < 1e-3
        else "Only generated tokens are actions: what is outside the mask must not count."
        if abs(float(loss) + 25 / 6) < 1e-3
        else "Only tokens inside the mask count: their sum divided by their number."
    )
    values = torch.tensor([[1.0, 50.0, 50.0], [1.0, 1.0, 1.0]])
    _, stats = ppo_loss(zeros, zeros, zeros, values, values, zeros, mask, CONFIG)
    assert abs(stats["value_loss"] - 0.5) < 1e-5, "The value loss is a mean over the response tokens alone."


@test_case(name="statistics")
def check_stats(ppo_loss):
    new, old = torch.tensor([[-1.0, -1.0, -1.0, -9.0]]), torch.tensor([[-1.0, -2.0, -0.9, -1.0]])
    mask, zeros = torch.tensor([[1.0, 1.0, 1.0, 0.0]]), torch.zeros(1, 4)
    _, stats = ppo_loss(new, old, zeros, zeros, zeros, zeros, mask, CONFIG)
    missing = {"policy_loss", "value_loss", "approx_kl", "clip_fraction"} - set(stats)
    assert not missing, f"The stats lack {', '.join(sorted(missing))}."
    assert not any(torch.is_tensor(x) and x.requires_grad for x in stats.values()), "Store numbers, not graphs."
    assert abs(float(stats["clip_fraction"]) - 1 / 3) < 1e-5, "One of three ratios is outside; count |ratio - 1| > clip_range."
    assert float(stats["approx_kl"]) < 0, (
        "approx_kl is the mean of old minus new; yours is its negative."
    )
    assert abs(float(stats["approx_kl"]) + 0.3) < 1e-5, "approx_kl is the mean of old - new over response tokens."


@test_case(name="gradient goes where it should")
def check_detached(ppo_loss):
    inputs = [torch.full((1, 2), x, requires_grad=True) for x in (-1.0, -1.1, 0.5, 0.1, 0.2, 0.4)]
    loss, _ = ppo_loss(*inputs, torch.ones(1, 2), CONFIG)
    loss.backward()
    new, old, advantages, values, _, returns = inputs
    assert new.grad is not None and values.grad is not None, "New log-probabilities and values must receive gradients."
    for tensor, what in ((old, "old log-probabilities"), (advantages, "advantages"), (returns, "returns")):
        assert tensor.grad is None or not tensor.grad.any(), f"The {what} are fixed numbers: no gradient through them."
