"""Public check of T12: generalised advantage estimation."""

import torch
from otter.test_files import test_case

name = "T12"
points = None

R = torch.tensor([[0.0, 1.0, -2.0, 4.0, 0.0], [0.0, 0.0, 3.0, -1.0, 0.0]])
V = torch.tensor([[7.0, 0.5, 1.0, -1.0, 8.0], [5.0, 9.0, 2.0, 1.0, 6.0]])
M = torch.tensor([[0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0, 0.0]])


def close(result, wanted):
    return torch.allclose(result.float(), torch.tensor(wanted), atol=1e-5)


@test_case(name="lambda = 0: the TD error")
def check_td(gae):
    advantages, _ = gae(R, V, M, 1.0, 0.0)
    assert advantages.shape == R.shape, "One advantage per token, shape (B, T)."
    assert abs(float(advantages[0, 3]) - 5.0) < 1e-5, (
        "The value after the last token is 0: behind the reply there is only padding."
    )
    free, _ = gae(R, V, M, 1.0, 0.9)
    assert not close(free[0, 1:4], advantages[0, 1:4].tolist()), "lambda has no effect on your advantages."
    assert close(advantages[0, 1:3], [1.5, -4.0]), (
        "Check the lambda = 0 case: your TD error uses the wrong one of the two numbers. Its next value has the other."
    )
    assert close(advantages[1, 2:4], [2.0, -2.0]), "The shorter row is wrong: rows end at different columns."


@test_case(name="lambda = 1 without values: rewards to go")
def check_rewards_to_go(gae):
    advantages, returns = gae(R, torch.zeros_like(V), M, 1.0, 1.0)
    assert abs(float(advantages[0, 3]) - 4.0) < 1e-5 and abs(float(advantages[0, 1]) - 3.0) < 1e-5, (
        "Your advantages do not look ahead: a token's advantage depends on what comes after it."
        if close(advantages[0, 1:4], [1.0, -2.0, 4.0])
        else "Walk backwards: an advantage gathers what comes later, not what came before."
    )
    assert close(advantages[0, 1:4], [3.0, 2.0, 4.0]) and close(returns[0, 1:4], [3.0, 2.0, 4.0])
    discounted, _ = gae(R, torch.zeros_like(V), M, 0.5, 1.0)
    assert close(discounted[0, 1:4], [1.0, 0.0, 4.0]), (
        "Both numbers shrink what lies one step ahead; one of them is missing in your recursion."
    )


@test_case(name="gamma and lambda have different jobs")
def check_both(gae):
    advantages, _ = gae(R, V, M, 0.5, 0.5)
    # TD errors of row 0 by hand: 1.0, -3.5, 5.0; each is carried back by gamma * lambda = 0.25
    assert close(advantages[0, 1:4], [1.0 - 0.875 + 0.3125, -3.5 + 1.25, 5.0]), (
        "gamma weighs the next value; gamma * lambda carries the next advantage back."
    )


@test_case(name="returns")
def check_returns(gae):
    advantages, returns = gae(R, V, M, 0.9, 0.8)
    inside = M == 1
    assert not torch.allclose(returns[inside], advantages[inside]), "Target is advantage plus old value."
    assert torch.allclose((returns - V)[inside], advantages[inside], atol=1e-5), (
        "Your returns ignore the values; with lambda below 1 they are part of the target."
    )


@test_case(name="nothing leaks through the mask")
def check_mask(gae):
    advantages, returns = gae(R, V, M, 0.9, 0.8)
    assert (advantages[M == 0] == 0).all() and (returns[M == 0] == 0).all(), "Outside the mask both are 0."
    rewards, values = torch.where(M == 1, R, 55.0), torch.where(M == 1, V, -66.0)
    changed, target = gae(rewards, values, M, 0.9, 0.8)
    assert torch.allclose(changed, advantages, atol=1e-4) and torch.allclose(target, returns, atol=1e-4), (
        "Padding leaks backwards into your advantages: mask inside the recursion."
    )


@test_case(name="a reply that fills its row")
def check_full(gae):
    advantages, _ = gae(R[:, 1:4], V[:, 1:4], torch.ones(2, 3), 1.0, 0.0)
    assert abs(float(advantages[0, 2]) - 5.0) < 1e-5, "At the last column there is no next value: it counts as 0."


@test_case(name="raw advantages")
def check_raw(gae):
    single, _ = gae(R, V, M, 0.9, 0.8)
    double, _ = gae(2 * R, 2 * V, M, 0.9, 0.8)
    assert torch.allclose(double, 2 * single, atol=1e-4), (
        "This function returns raw advantages; whitening comes later, in the training loop."
    )
