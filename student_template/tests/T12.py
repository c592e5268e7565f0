"""Public check of T12: generalised advantage estimation."""

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "T12"
points = None

R = torch.tensor([[0.0, 1.0, -2.0, 4.0, 0.0], [0.0, 0.0, 3.0, -1.0, 0.0]])
V = torch.tensor([[7.0, 0.5, 1.0, -1.0, 8.0], [5.0, 9.0, 2.0, 1.0, 6.0]])
M = torch.tensor([[0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0, 0.0]])
G, L = 0.9, 0.8
WHERE = f"in row 0 of shape (2, 5): rewards 1, -2, 4 and values 0.5, 1, -1 in the mask, gamma {G}, lambda {L}"


def carried(first, second, last, factor):
    """Three numbers, to each of which `factor` times the next result is added."""
    return [first + factor * (second + factor * last), second + factor * last, last]


# TD errors of the two replies by hand. The value after the last token is 0.
ROW0 = carried(1 + G * 1 - 0.5, -2 + G * -1 - 1, 4 - -1, G * L)
ROW1 = [3 + G * 1 - 2 + G * L * -2, -2.0]


def run(gae, rewards=R, values=V, mask=M, gamma=G, lam=L):
    result = gae(rewards, values, mask, gamma, lam)
    assert isinstance(result, tuple | list) and len(result) == 2, "Return two tensors: advantages and returns."
    for x, what in zip(result, ("advantages", "returns")):
        assert isinstance(x, torch.Tensor) and x.shape == rewards.shape, (
            f"The {what} have shape {tuple(rewards.shape)}, one number per token; you return {getattr(x, 'shape', x)}."
        )
    return result


@test_case(name="advantages, by hand")
def check_advantages(gae):
    advantages, _ = run(gae)
    first, second, last = 1 + G * 1 - 0.5, -2 + G * -1 - 1, 5.0
    all_five = torch.tensor([*ROW0, *ROW1])
    whitened = "This function returns raw advantages; whitening comes later, in the training loop."
    found = advantages[0, 1:4]
    assert near(found, ROW0), explain(found, ROW0, f"Advantages {WHERE}", [
        ("The value after the last token is 0: behind the reply there is only padding.",
         carried(first, second, last + G * 8, G * L)),
        ("Padding leaks backwards into your advantages: mask inside the recursion.",
         carried(first, second, last + G * 8 - G * L * 8, G * L)),
        ("lambda has no effect on your advantages.", carried(first, second, last, G)),
        ("Both numbers shrink what lies one step ahead; one of them is missing in your recursion.",
         carried(first, second, last, L)),
        ("Both numbers shrink what lies one step ahead; your recursion has neither.",
         carried(first, second, last, 1.0)),
        ("Check the lambda = 0 case: your TD error uses the wrong one of the two numbers.",
         carried(0.5 + L, -3 - L, last, G * L)),
        ("Check the lambda = 0 case: your TD error uses both numbers.", carried(0.5 + G * L, -3 - G * L, last, G * L)),
        ("Check the lambda = 0 case: gamma is missing in your TD error.", carried(1.5, -4.0, last, G * L)),
        ("Your TD error has no next value.", carried(0.5, -3.0, last, G * L)),
        ("With lambda = 1 your advantages are right up to the values: what is the baseline for?",
         carried(1.0, -2.0, 4.0, G)),
        ("Your advantages are discounted rewards: the values have no part in them.", carried(1.0, -2.0, 4.0, G * L)),
        ("Your advantages do not look ahead: a token's advantage depends on what comes after it.", [1.0, -2.0, 4.0]),
        ("Your advantages are TD errors: nothing is carried back from later tokens.", [first, second, last]),
        ("Walk backwards: an advantage gathers what comes later, not what came before.",
         carried(last, second, first, G * L)[::-1]),
        (whitened, (all_five - all_five.mean())[:3] / all_five.std()),
        (whitened, (all_five - all_five.mean())[:3] / all_five.std(unbiased=False)),
    ])
    found = advantages[1, 2:4]
    assert near(found, ROW1), explain(
        found, ROW1, f"Advantages in row 1, whose reply is columns 2 and 3: rewards 3, -1, values 2, 1, gamma {G}, lambda {L}"
    )


@test_case(name="lambda = 0 and lambda = 1")
def check_extremes(gae):
    found, _ = run(gae, gamma=1.0, lam=0.0)
    assert near(found[0, 1:4], [1.5, -4.0, 5.0]), explain(
        found[0, 1:4], [1.5, -4.0, 5.0], "Advantages in row 0 with gamma 1 and lambda 0, which are the TD errors"
    )
    found, returns = run(gae, values=torch.zeros_like(V), gamma=1.0, lam=1.0)
    wanted = torch.tensor([[3.0, 2.0, 4.0]] * 2)
    found = torch.stack([found[0, 1:4], returns[0, 1:4]])
    assert near(found, wanted), explain(
        found, wanted, "Advantages and returns in row 0 without values, gamma and lambda 1: rewards to go"
    )


@test_case(name="returns")
def check_returns(gae):
    advantages, returns = run(gae)
    own = advantages[0, 1:4]
    wanted, found = own + V[0, 1:4], returns[0, 1:4]
    assert near(found, wanted), explain(found, wanted, f"Returns {WHERE}, with your advantages", {
        "Target is advantage plus old value.": own,
        "Your returns ignore the values; with lambda below 1 they are part of the target.": carried(1.0, -2.0, 4.0, G),
        "Your returns are advantage minus value.": own - V[0, 1:4],
        "Your returns are the rewards.": R[0, 1:4],
    })


@test_case(name="nothing outside the mask")
def check_mask(gae):
    advantages, returns = run(gae)
    outside = torch.stack([advantages[M == 0], returns[M == 0]])
    assert near(outside, outside * 0), explain(
        outside, outside * 0, "Advantages and returns outside the mask of shape (2, 5)"
    )
    changed = run(gae, torch.where(M == 1, R, 55.0), torch.where(M == 1, V, -66.0))
    found, wanted = (torch.stack(list(pair)) for pair in (changed, (advantages, returns)))
    assert near(found, wanted), explain(
        found, wanted, "Your advantages and returns (2, 2, 5) with other rewards and values outside the mask"
    )


@test_case(name="a batch of one")
def check_one(gae):
    found, wanted = run(gae, R[:1], V[:1], M[:1])[0], run(gae)[0][:1]
    assert near(found, wanted), explain(found, wanted, "Your advantages for row 0 alone, inputs of shape (1, 5)")


@test_case(name="a reply that fills its row")
def check_full(gae):
    advantages, _ = run(gae, R[:, 1:4], V[:, 1:4], torch.ones(2, 3))
    found = advantages[0]
    assert near(found, ROW0), explain(
        found, ROW0, "Advantages in a row of 3 columns that the reply fills: at the last one there is no next value"
    )
