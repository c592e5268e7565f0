"""Public check of T11: per-token rewards."""

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "T11"
points = None

SCORES = torch.tensor([2.0, -1.0])
LOGP = torch.tensor([[-9.0, -3.0, -1.0, -2.0, -9.0], [-9.0, -1.0, -0.5, -1.5, -3.0]])
REF = torch.tensor([[-5.0, -4.0, -1.5, -1.0, -7.0], [-4.0, -1.25, -1.0, -1.5, -2.0]])
MASK = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0, 1.0]])
RATIO = LOGP - REF  # inside the mask 0.5, -1 | 0.25, 0.5, 0, -1
WHERE = "mask of shape (2, 5): columns 2 to 3 of row 0, 1 to 4 of row 1"


def at(*columns, scores=SCORES):
    """Return rewards with the two scores at these columns, one per row."""
    rewards = torch.zeros(2, 5)
    rewards[[0, 1], list(columns)] = scores
    return rewards


@test_case(name="the score stands at the last response token")
def check_score(shape_rewards):
    rewards = shape_rewards(SCORES, LOGP, REF, MASK, 0.0)
    assert isinstance(rewards, torch.Tensor) and rewards.shape == MASK.shape, (
        f"One reward per token: a tensor of shape {tuple(MASK.shape)}, not {getattr(rewards, 'shape', type(rewards).__name__)}."
    )
    assert near(rewards, at(3, 4)), explain(rewards, at(3, 4), f"Rewards for scores 2 and -1 with beta = 0, {WHERE}", {
        "The score belongs to the last real token; the last column is padding in most rows.": at(4, 4),
        "The end token is the last real token: your score comes one column too early.": at(2, 3),
        "The number of response tokens is a column only where the reply starts at column 0.": at(1, 3),
        "Your score stands at the first response token; it belongs to the last one.": at(2, 1),
        "One score per answer, at its end; a long reply collects yours many times.": SCORES[:, None] * MASK,
        "The score stands in every column, prompt and padding included.": SCORES[:, None].expand(2, 5),
        "Each reply has its own score; yours all get the same.": at(3, 4, scores=0.5),
        "The score is missing from your rewards.": torch.zeros(2, 5),
    })


@test_case(name="penalty per token")
def check_penalty(shape_rewards):
    rewards, wanted = shape_rewards(torch.zeros(2), LOGP, REF, MASK, 0.5), -0.5 * RATIO * MASK
    other = "The handout puts the plain log-ratio of the sampled token into the reward, not another estimator."
    assert near(rewards, wanted), explain(rewards, wanted, f"Rewards for scores 0 with beta = 0.5, {WHERE}", [
        ("A policy that drifts away is rewarded for it: which sign has the KL term in a reward?", -wanted),
        ("beta has no effect on your rewards.", torch.zeros(2, 5)),
        ("beta is left out: your penalty is the whole log-ratio.", 2 * wanted),
        ("One sample may be negative; only the mean is not. Taking its size changes what is estimated.", -wanted.abs()),
        ("One sample may be negative; only the mean is not. Cutting it off at 0 changes what is estimated.",
         wanted.clamp(max=0)),
        (other, -0.5 * ((-RATIO).exp() - 1 + RATIO) * MASK),
        (other, -0.25 * RATIO**2 * MASK),
        ("Only generated tokens count: outside the mask the reward is 0.", -0.5 * RATIO),
        ("The last token has its penalty as well as its score.", wanted - wanted * at(3, 4, scores=1.0)),
    ])


@test_case(name="both together, linear in beta")
def check_linear(shape_rewards):
    sums = [shape_rewards(SCORES, LOGP, REF, MASK, beta).sum(dim=1) for beta in (0.0, 1.0, 2.0)]
    wanted = [2.0, -1.0, 2.5, -0.75, 3.0, -0.5]  # the KL of the two replies is -0.5 and -0.25
    found = torch.cat(sums)
    assert near(found, wanted), explain(
        found, wanted, f"Sums of the two rows at beta = 0, 1, 2: score - beta * KL of the reply; {WHERE}"
    )


@test_case(name="nothing outside the reply")
def check_outside(shape_rewards):
    rewards = shape_rewards(SCORES, LOGP, REF, MASK, 0.7)
    found = rewards[MASK == 0]
    assert near(found, found * 0), "Only generated tokens count: outside the mask the reward is 0. " + explain(
        found, found * 0, f"Your rewards outside the mask, {WHERE}"
    )
    changed = torch.where(MASK == 1, LOGP, torch.full_like(LOGP, -77.0))
    found = shape_rewards(SCORES, changed, REF, MASK, 0.7)
    assert near(found, rewards), "Log-probabilities of prompt or padding changed your rewards. " + explain(
        found, rewards, f"Your rewards with other log-probabilities outside the mask, {WHERE}"
    )


@test_case(name="a batch of one")
def check_one(shape_rewards):
    found = shape_rewards(SCORES[:1], LOGP[:1], REF[:1], MASK[:1], 0.5)
    wanted = shape_rewards(SCORES, LOGP, REF, MASK, 0.5)[:1]
    assert near(found, wanted), explain(found, wanted, "Your rewards for row 0 alone, inputs of shape (1, 5)")


@test_case(name="the inputs stay as they are")
def check_inputs(shape_rewards):
    inputs = [x.clone() for x in (SCORES, LOGP, REF, MASK)]
    shape_rewards(*inputs, 0.3)
    for what, before, after in zip(("scores", "logprobs", "ref_logprobs", "mask"), (SCORES, LOGP, REF, MASK), inputs):
        assert torch.equal(before, after), f"You changed {what} in place; the training loop still needs it."
