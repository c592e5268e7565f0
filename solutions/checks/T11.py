"""Public check of T11: per-token rewards."""

import torch
from otter.test_files import test_case

name = "T11"
points = None

SCORES = torch.tensor([2.0, -1.0])
LOGP = torch.tensor([[-9.0, -1.0, -2.0, -9.0, -9.0], [-9.0, -9.0, -0.5, -1.5, -3.0]])
REF = torch.tensor([[-5.0, -1.5, -1.0, -7.0, -2.0], [-4.0, -8.0, -1.0, -1.5, -2.0]])
MASK = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, 1.0]])


@test_case(name="the score stands at the last response token")
def check_score(shape_rewards):
    rewards = shape_rewards(SCORES, LOGP, REF, MASK, 0.0)
    assert rewards.shape == MASK.shape, f"One reward per token: shape {tuple(MASK.shape)}."
    assert rewards[0, 4] == 0 and rewards[0, 3] == 0, "The score belongs to the last real token; the last column is padding in most rows."
    assert rewards[0, 1] == 0, (
        "One score per answer, at its end; a long reply collects yours many times."
        if rewards[0, 2] == 2.0
        else "The end token is the last real token: your score comes one column too early."
    )
    assert rewards[0, 2] != rewards[1, 4], "Each reply has its own score; yours all get the same."
    assert rewards[0, 2] == 2.0 and rewards[1, 4] == -1.0, "With beta = 0 the last response token holds exactly the score."


@test_case(name="penalty per token")
def check_penalty(shape_rewards):
    rewards = shape_rewards(torch.zeros(2), LOGP, REF, MASK, 0.5)
    assert rewards[0, 1] != 0.25, (
        "A policy that drifts away is rewarded for it: which sign has the KL term in a reward?"
    )
    assert rewards.any(), "beta has no effect on your rewards."
    assert float(rewards[0, 2]) != -0.5 and float(rewards[1, 4]) != -0.5, (
        "One sample may be negative; only the mean is not. Taking its size changes what is estimated."
    )
    assert abs(float(rewards[0, 1]) + 0.25) < 1e-6, "-beta times (log pi - log pi_ref): here -0.5 * 0.5."
    assert abs(float(rewards[0, 2]) - 0.5) < 1e-6, "A token less likely than under the reference gives a positive term."
    assert abs(float(rewards[1, 4]) - 0.5) < 1e-6, "The last token has its penalty as well as its score."


@test_case(name="both together, linear in beta")
def check_linear(shape_rewards):
    sums = [shape_rewards(SCORES, LOGP, REF, MASK, beta).sum(dim=1) for beta in (0.0, 1.0, 2.0)]
    assert torch.allclose(sums[0], SCORES), "With beta = 0 each row sums to its own score; not to the batch's mean."
    assert torch.allclose(sums[1] - sums[0], sums[2] - sums[1], atol=1e-5), "The penalty enters once, linear in beta."
    assert torch.allclose(sums[1], SCORES - torch.tensor([-0.5, -0.5]), atol=1e-5), (
        "A row sums to score - beta * KL, with the KL over its response tokens alone."
    )


@test_case(name="nothing outside the reply")
def check_outside(shape_rewards):
    rewards = shape_rewards(SCORES, LOGP, REF, MASK, 0.7)
    assert (rewards[MASK == 0] == 0).all(), "Only generated tokens count: outside the mask the reward is 0."
    changed = torch.where(MASK == 1, LOGP, torch.full_like(LOGP, -77.0))
    assert torch.equal(shape_rewards(SCORES, changed, REF, MASK, 0.7), rewards), (
        "Log-probabilities of prompt or padding changed your rewards."
    )


@test_case(name="the inputs stay as they are")
def check_inputs(shape_rewards):
    scores, logp, ref, mask = (x.clone() for x in (SCORES, LOGP, REF, MASK))
    shape_rewards(scores, logp, ref, mask, 0.3)
    assert torch.equal(logp, LOGP) and torch.equal(ref, REF) and torch.equal(scores, SCORES), (
        "You changed an input in place; the training loop still needs it."
    )
