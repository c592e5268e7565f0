"""Public check of T13: the clipped loss at points where every term can be seen."""

import dataclasses
import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit
from rlhf_kit.advice import explain, near

name = "T13"
points = None

# The two ranges differ, and no number is the usual one.
CONFIG = dataclasses.replace(kit.get_profile().ppo, clip_range=0.25, value_clip=0.4, value_coef=0.3)


def run(ppo_loss, ratio=1.0, advantage=0.0, value=0.0, old_value=0.0, target=0.0):
    """The loss of a single token, its stats, and the gradients on log-probability and value."""
    one = torch.ones(1, 1)
    old = torch.full((1, 1), -1.0)
    new = (old + math.log(ratio)).requires_grad_(True)
    values = (one * value).requires_grad_(True)
    loss, stats = ppo_loss(new, old, one * advantage, values, one * old_value, one * target, one, CONFIG)
    assert loss.requires_grad, "The new log-probs must carry the gradient. Your loss has none at all."
    loss.backward()
    grads = [0.0 if x.grad is None else float(x.grad) for x in (new, values)]
    return float(loss.detach()), stats, *grads


@test_case(name="the ratio, inside the clip range")
def check_inside(ppo_loss):
    loss, stats, grad, _ = run(ppo_loss, ratio=1.1, advantage=2.0)
    new = math.log(1.1) - 1  # the new log-probability
    found, where = [loss, grad], "Loss, and its gradient on logprobs, of one token with ratio 1.1 and advantage 2"
    assert near(found, [-2.2, -2.2]), explain(found, [-2.2, -2.2], where, {
        "You push good actions down.": [2.2, 2.2],
        "Your ratio is the reciprocal of what it should be.": [-2 / 1.1, 2 / 1.1],
        "The new log-probs must carry the gradient.": [-2.2, 0.0],
        "This is not PPO: nothing compares the new policy with the old one.": [-2 * new, -2.0],
        "Your ratio is the difference of log-probabilities; its exponential is asked for.": [-2 * math.log(1.1), -2.0],
    })
    assert near(stats["clip_fraction"], 0.0), explain(
        stats["clip_fraction"], 0.0, "clip_fraction at a ratio of 1.1, clip_range 0.25"
    )


@test_case(name="outside the clip range")
def check_outside(ppo_loss):
    points = ((3.0, 1.6), (3.0, 0.4), (-3.0, 1.6), (-3.0, 0.4))
    losses, _, grads, _ = zip(*(run(ppo_loss, ratio=ratio, advantage=advantage) for advantage, ratio in points))
    where = "one token each, with (advantage, ratio) = (3, 1.6), (3, 0.4), (-3, 1.6), (-3, 0.4), clip_range 0.25"
    wanted = [-3.75, -1.2, 4.8, 2.25]
    assert near(losses, wanted), explain(losses, wanted, f"Losses of {where}", {
        "Ratios far from 1 count in full: config.clip_range has no effect on your loss.": [-4.8, -1.2, 4.8, 1.2],
        "Both terms are needed, then the pessimistic one: with one alone a policy that went wrong gets no gradient back.":
            [-3.75, -2.25, 3.75, 2.25],
        "Take the pessimistic side: yours is the optimistic one of the two terms.": [-4.8, -2.25, 3.75, 1.2],
        "Look at a small ratio with a negative advantage: your clip does not reach it.": [-3.75, -1.2, 4.8, 1.2],
        "Look at a large ratio with a positive advantage: your clip does not reach it.": [-4.8, -1.2, 4.8, 2.25],
        "The ratio is clipped with config.value_clip, which belongs to the values.": [-4.2, -1.2, 4.8, 1.8],
        "The ratio is clipped with 0.2, whatever config.clip_range says.": [-3.6, -1.2, 4.8, 2.4],
        "You clip the logarithm of the ratio; the ratio itself is clipped.":
            [-3 * math.exp(0.25), -1.2, 4.8, 3 * math.exp(-0.25)],
        "You push good actions down.": [-x for x in wanted],
    })
    wanted = [0.0, -1.2, 4.8, 0.0]
    assert near(grads, wanted), explain(grads, wanted, f"Gradients on logprobs of {where}")


@test_case(name="value loss")
def check_value(ppo_loss):
    # old value 0: a prediction of 0.5 is clipped to 0.4, with target 1; a prediction of 1 too, with target 0.2
    first, second = run(ppo_loss, value=0.5, target=1.0), run(ppo_loss, value=1.0, target=0.2)
    found, wanted = [float(first[1]["value_loss"]), float(second[1]["value_loss"])], [0.18, 0.32]
    where = "of one token each, old value 0, (value, return) = (0.5, 1), (1, 0.2), value_clip 0.4"
    assert near(found, wanted), explain(found, wanted, f"value_loss {where}", {
        "Your value loss is off by a constant factor: read its formula again.": [0.36, 0.64],
        "config.value_clip has no effect on your value loss.": [0.125, 0.32],
        "Take the larger of the two squared errors.": [0.125, 0.02],
        "The value loss needs both squared errors, the plain one and the clipped one.": [0.18, 0.02],
        "The value is clipped with config.clip_range, which belongs to the ratio.": [0.28125, 0.32],
        "The value is clipped with 0.2, whatever config.value_clip says.": [0.32, 0.32],
    })
    assert near(first[0], 0.054), explain(
        first[0], 0.054, "Loss of a token with value_loss 0.18, advantage 0 and value_coef 0.3", {
        "config.value_coef has no effect on your loss.": 0.18,
        "The value loss is not in your loss.": 0.0,
    })
    found = [first[3], second[3]]
    assert near(found, [0.0, 0.24]), explain(found, [0.0, 0.24], f"Gradients on values {where}, value_coef 0.3", {
        "No gradient reaches the values.": [0.0, 0.0],
    })


@test_case(name="token means over the mask")
def check_mask(ppo_loss):
    zeros, mask = torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    advantages = torch.tensor([[8.0, 99.0, -90.0], [4.0, 2.0, 2.0]])
    new = torch.tensor([[math.log(1.1), 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss, _ = ppo_loss(new, zeros, advantages, zeros, zeros, zeros, mask, CONFIG)
    found, where = float(loss), "Loss (2, 3), ratios 1.1 | 1 1 1 and advantages 8 | 4 2 2 inside the mask"
    taken = "This function takes advantages as they come: the loop has whitened them, over all rollouts of the phase."
    assert near(found, -4.2), explain(found, -4.2, where, [
        ("The handout asks for a mean over tokens; yours is a mean over sequences first.", -(8.8 + 8 / 3) / 2),
        ("Divide by the number of response tokens, not by the size of the tensor.", -16.8 / 6),
        ("Only generated tokens are actions: what is outside the mask must not count.", -25.8 / 6),
        ("Your loss is a sum; a mean is asked for.", -16.8),
        (taken, -0.1 / math.sqrt(8)),  # the standard deviation of 8, 4, 2, 2 in its two forms
        (taken, -0.1 / math.sqrt(6)),
    ])
    values = torch.tensor([[2.0, 50.0, 50.0], [1.0, 1.0, 1.0]])
    _, stats = ppo_loss(zeros, zeros, zeros, values, values, zeros, mask, CONFIG)
    found = float(stats["value_loss"])
    assert near(found, 0.875), explain(found, 0.875, "value_loss (2, 3), values 2 | 1 1 1 inside the mask, returns 0", {
        "The value loss is a mean over tokens; yours is a mean over sequences first.": 1.25,
        "Divide the value loss by the number of response tokens, not by the size of the tensor.": 3.5 / 6,
        "The value loss counts what is outside the mask.": (7 + 2 * 2500) / 12,
        "Your value loss is a sum; a mean is asked for.": 3.5,
    })


@test_case(name="statistics")
def check_stats(ppo_loss):
    gaps = torch.tensor([[0.0, 0.27, 1.3, -0.27, -0.45, -8.0]])  # new - old; the last one is outside the mask
    mask, zeros, old = torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]]), torch.zeros(1, 6), torch.full((1, 6), -9.0)
    _, stats = ppo_loss(old + gaps, old, zeros, zeros, zeros, zeros, mask, CONFIG)
    missing = {"policy_loss", "value_loss", "approx_kl", "clip_fraction"} - set(stats)
    assert not missing, f"The stats lack {', '.join(sorted(missing))}."
    assert not any(torch.is_tensor(x) and x.requires_grad for x in stats.values()), "Store numbers, not graphs."
    where, found = "of 5 tokens in the mask (1, 6), log-ratios 0, 0.27, 1.3, -0.27, -0.45", float(stats["clip_fraction"])
    assert near(found, 0.6), explain(found, 0.6, f"clip_fraction {where}, clip_range 0.25", {
        "clip_fraction is counted with config.value_clip.": 0.2,
        "clip_fraction counts log-ratios; count |ratio - 1| > clip_range.": 0.8,
        "clip_fraction counts one side only; count |ratio - 1| > clip_range.": 0.4,
        "clip_fraction counts tokens outside the mask too.": 4 / 6,
        "clip_fraction is divided by the size of the tensor, not by the number of response tokens.": 0.5,
    })
    found = float(stats["approx_kl"])
    assert near(found, -0.17), explain(found, -0.17, f"approx_kl {where}", {
        "approx_kl is the mean of old minus new; yours is its negative.": 0.17,
        "approx_kl counts tokens outside the mask too.": 7.15 / 6,
        "approx_kl is divided by the size of the tensor, not by the number of response tokens.": -0.85 / 6,
    })


@test_case(name="gradient goes where it should")
def check_detached(ppo_loss):
    inputs = [torch.full((1, 2), x, requires_grad=True) for x in (-1.0, -1.1, 0.5, 0.1, 0.2, 0.4)]
    loss, _ = ppo_loss(*inputs, torch.ones(1, 2), CONFIG)
    assert loss.requires_grad, "New log-probabilities and values must receive gradients; your loss has none."
    loss.backward()
    new, old, advantages, values, _, returns = inputs
    assert new.grad is not None and values.grad is not None, "New log-probabilities and values must receive gradients."
    for tensor, what in ((old, "old log-probabilities"), (advantages, "advantages"), (returns, "returns")):
        assert tensor.grad is None or not tensor.grad.any(), f"The {what} are fixed numbers: no gradient through them."
