"""Public check of T12: generalised advantage estimation."""

import torch
from otter.test_files import test_case

name = "T12"
points = None

R = torch.tensor([[0.0, 1.0, -2.0, 4.0, 0.0], [0.0, 0.0, 3.0, -1.0, 0.0]])
V = torch.tensor([[7.0, 0.5, 1.0, -1.0, 8.0], [5.0, 9.0, 2.0, 1.0, 6.0]])
M = torch.tensor([[0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0, 0.0]])


def near(result, wanted):
    return torch.allclose(result, torch.tensor(wanted), atol=1e-5)


@test_case(name="lambda = 0: the TD error")
def check_td(gae):
    advantages, _ = gae(R, V, M, 1.0, 0.0)
    assert advantages.shape == R.shape, "One advantage per token, shape (B, T)."
    assert abs(float(advantages[0, 3]) - 5.0) < 1e-5, (
        "The reply ends there: the value after its last token is 0, whatever stands in the padding."
    )
    assert near(advantages[0, 1:3], [1.5, -4.0]), "With lambda = 0: reward + gamma * next value - value."
    assert near(advantages[1, 2:4], [2.0, -2.0]), "The shorter row is wrong: rows end at different columns."


@test_case(name="lambda = 1 without values: rewards to go")
def check_rewards_to_go(gae):
    advantages, returns = gae(R, torch.zeros_like(V), M, 1.0, 1.0)
    assert abs(float(advantages[0, 3]) - 4.0) < 1e-5 and abs(float(advantages[0, 1]) - 3.0) < 1e-5, (
        "Without values, gamma = lambda = 1 sums the rewards from here to the end: walk backwards."
    )
    assert near(advantages[0, 1:4], [3.0, 2.0, 4.0]) and near(returns[0, 1:4], [3.0, 2.0, 4.0])
    discounted, _ = gae(R, torch.zeros_like(V), M, 0.5, 1.0)
    assert near(discounted[0, 1:4], [1.0, 0.0, 4.0]), "gamma discounts each step towards the future."


@test_case(name="gamma and lambda have different jobs")
def check_both(gae):
    advantages, _ = gae(R, V, M, 0.5, 0.5)
    # TD errors of row 0 by hand: 1.0, -3.5, 5.0; each is carried back by gamma * lambda = 0.25
    assert near(advantages[0, 1:4], [1.0 - 0.875 + 0.3125, -3.5 + 1.25, 5.0]), (
        "gamma weighs the next value; gamma * lambda carries the next advantage back."
    )


@test_case(name="returns")
def check_returns(gae):
    advantages, returns = gae(R, V, M, 0.9, 0.8)
    inside = M == 1
    assert not torch.allclose(returns[inside], advantages[inside]), "The value's target is not the advantage itself."
    assert torch.allclose((returns - V)[inside], advantages[inside], atol=1e-5), "returns - values = raw advantages."


@test_case(name="nothing leaks through the mask")
def check_mask(gae):
    advantages, returns = gae(R, V, M, 0.9, 0.8)
    assert (advantages[M == 0] == 0).all() and (returns[M == 0] == 0).all(), "Outside the mask both are 0."
    rewards, values = torch.where(M == 1, R, 55.0), torch.where(M == 1, V, -66.0)
    changed, target = gae(rewards, values, M, 0.9, 0.8)
    assert torch.allclose(changed, advantages, atol=1e-4) and torch.allclose(target, returns, atol=1e-4), (
        "Rewards or values of prompt or padding reach your advantages: mask inside the recursion, not after it."
    )


@test_case(name="a reply that fills its row")
def check_full(gae):
    advantages, _ = gae(R[:, 1:4], V[:, 1:4], torch.ones(2, 3), 1.0, 0.0)
    assert abs(float(advantages[0, 2]) - 5.0) < 1e-5, "At the last column there is no next value: it counts as 0."


@test_case(name="raw advantages")
def check_raw(gae):
    single, _ = gae(R, V, M, 0.9, 0.8)
    double, _ = gae(2 * R, 2 * V, M, 0.9, 0.8)
    assert torch.allclose(double, 2 * single, atol=1e-4), "Return raw advantages; whitening comes later, in the loop."
