"""Public check of T14: the PPO loop, on a bigram policy that trains in a second."""

import copy
import dataclasses
import math

import torch
from otter.test_files import test_case
from torch.optim.optimizer import register_optimizer_step_post_hook

import rlhf_kit as kit
from rlhf_kit.table_models import BigramLM, BigramPolicy

name = "T14"
points = None

V, LIKED = 7, 4
PROMPTS = [[2, token] for token in (2, 3, 5, 6)] * 5


def config(**changes):
    base = {"steps": 2, "rollouts": 10, "ppo_epochs": 2, "minibatch_size": 5, "learning_rate": 0.05,
            "warmup_steps": 1, "beta": 0.02, "max_new_tokens": 6}
    return kit.PPOConfig(**(base | changes))


class CountLiked:
    """A reward function that counts one token in each reply, and remembers its calls."""

    def __init__(self, scale=1.0):
        self.prompts, self.scores, self.scale = [], [], scale

    def __call__(self, prompt_ids, response_ids):
        assert len(prompt_ids) == len(response_ids), "The reward function gets one reply for each prompt."
        self.prompts += [tuple(p) for p in prompt_ids]
        self.scores.append(torch.tensor([self.scale * sum(t == LIKED for t in r) for r in response_ids]))
        return self.scores[-1]


def start(seed=3, dropout=0.0):
    weight = 0.3 * torch.randn(V, V, generator=torch.Generator().manual_seed(seed))
    return BigramPolicy(weight, dropout=dropout).eval(), kit.freeze(BigramLM(weight))


def updates(train_ppo, **changes):
    """Return the size of each update, in learning rates, with a config for which it is the gradient's size."""
    policy, reference = start()
    weights = [policy.lm.weight.detach().clone()]
    rate = 1e-2  # the policy changes little, and by far more than float32 rounds
    plain = config(steps=1, learning_rate=rate, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, max_grad_norm=1e9,
                   rollouts=20, minibatch_size=20)
    handle = register_optimizer_step_post_hook(lambda *_: weights.append(policy.lm.weight.detach().clone()))
    try:
        train_ppo(policy, reference, CountLiked(), PROMPTS, dataclasses.replace(plain, **changes))
    finally:
        handle.remove()
    return [float((b - a).norm()) / rate for a, b in zip(weights, weights[1:])]


@test_case(name="one row per step, with its figures")
def check_rows(train_ppo):
    policy, reference = start()
    reward_fn, seen = CountLiked(), []
    rows = train_ppo(policy, reference, reward_fn, PROMPTS, config(steps=3), lambda step, row: seen.append((step, row)))
    assert len(rows) == 3, f"Three steps give three rows; you return {len(rows)}."
    missing = {"reward", "kl", "policy_loss", "value_loss"} - set(rows[0])
    assert not missing, f"A row lacks {', '.join(sorted(missing))}."
    assert [step for step, _ in seen] == [0, 1, 2] and seen[2][1] == rows[2], "Call on_step(step, row) after each step."
    scores = torch.cat(reward_fn.scores)
    assert len(scores) == 3 * config().rollouts, "Score each step's rollouts once."
    means = scores.view(3, -1).mean(dim=1).tolist()
    assert all(abs(float(r["reward"]) - m) < 1e-4 for r, m in zip(rows, means)), (
        "Report the mean score; the penalty is shown on its own as kl."
    )


@test_case(name="policy and reference at the start")
def check_start(train_ppo):
    policy, reference = start()
    rows = train_ppo(policy, reference, CountLiked(), PROMPTS, config(steps=1))
    assert abs(float(rows[0]["kl"])) < 1e-4, "Policy and reference start equal, so the first KL is 0. Is the right one scored?"
    policy, _ = start()
    rows = train_ppo(policy, start(seed=8)[1], CountLiked(), PROMPTS, config(steps=1, rollouts=200, minibatch_size=200))
    assert float(rows[0]["kl"]) > 0.05, "Against another reference the KL is positive: log pi - log pi_ref, summed over the reply."


@test_case(name="the prompts get their turn")
def check_prompts(train_ppo):
    policy, reference = start()
    reward_fn, prompts = CountLiked(), [[2, a, b] for a in (2, 3, 4, 5, 6) for b in (2, 3, 4, 5)]
    train_ppo(policy, reference, reward_fn, prompts, config(steps=6))
    scored = len(reward_fn.prompts) / 6
    assert scored == 10, f"Each step rolls out config.rollouts prompts, 10 here; {scored:g} were scored."
    # One after the other: 10 of 10 in each step and all 20 in the end; a fresh order for each step: 10 and 19.7 on
    # average; drawn with replacement: 8 and 19.
    in_a_step = sum(len(set(reward_fn.prompts[10 * step : 10 * step + 10])) for step in range(6)) / 6
    assert in_a_step > 6 and len(set(reward_fn.prompts)) > 14, (
        "Your loop shows the same prompts several times and never reaches the rest."
    )


@test_case(name="the number of updates")
def check_updates(train_ppo):
    policy, reference = start()
    counted = []
    handle = register_optimizer_step_post_hook(lambda *_: counted.append(1))
    try:
        train_ppo(policy, reference, CountLiked(), PROMPTS, config())
    finally:
        handle.remove()
    assert len(counted) == 8, (
        "config.ppo_epochs asks for more passes over a phase's rollouts than you make."
        if len(counted) == 4
        else f"2 steps, 2 epochs, 10 / 5 minibatches make 8 updates, not {len(counted)}."
    )


@test_case(name="who learns, and who does not")
def check_learners(train_ppo):
    policy, reference = start()
    frozen, before = copy.deepcopy(reference.state_dict()), copy.deepcopy(policy.state_dict())
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        train_ppo(policy, reference, CountLiked(), PROMPTS, config())
    finally:
        handle.remove()
    after = policy.state_dict()
    assert all(torch.equal(x, frozen[n]) for n, x in reference.state_dict().items()), (
        "The reference must not learn: after a phase yours is another model."
    )
    assert not torch.equal(after["lm.weight"], before["lm.weight"]), (
        "You erase the gradient before using it."
        if steps
        else "Figures come back, but the policy is the same as before: which line changes it?"
    )
    assert not torch.equal(after["value_head.weight"], before["value_head.weight"]), (
        "Your optimiser does not hold the value head: compare what it holds with all that has to learn."
    )


@test_case(name="the reward rises")
def check_reward(train_ppo):
    policy, reference = start()
    rows = train_ppo(policy, reference, CountLiked(), PROMPTS, config(steps=25, rollouts=40, minibatch_size=20))
    first, last = (sum(float(r["reward"]) for r in part) / 5 for part in (rows[:5], rows[-5:]))
    still = torch.equal(policy.lm.weight.detach(), reference.weight)
    assert still or last > first + 0.3 or last < first - 0.1, (
        "Sampling cuts the graph: a reward that comes from sampled tokens has no gradient in the policy. "
        f"Yours went {first:.2f} -> {last:.2f}."
    )
    assert last > first - 0.1, f"The reward falls ({first:.2f} -> {last:.2f}): a sign is flipped."
    assert last > first + 1.0, f"The reward should rise clearly in 25 steps; it went {first:.2f} -> {last:.2f}."
    assert float(rows[-1]["kl"]) > 0.2, (
        "The log-prob of token t comes from the logits at t-1. A policy that earns more has a positive KL."
    )


@test_case(name="the KL penalty pulls back")
def check_penalty(train_ppo):
    kls = []
    for beta in (0.0, 1.0):
        policy, reference = start()
        rows = train_ppo(policy, reference, CountLiked(), PROMPTS,
                         config(steps=25, rollouts=40, minibatch_size=20, beta=beta))
        kls.append(sum(float(r["kl"]) for r in rows[-5:]) / 5)
    assert kls[1] < 0.5 * kls[0], f"A larger beta must keep the policy closer; KL is {kls[0]:.2f} at 0 and {kls[1]:.2f} at 1."


@test_case(name="the scale of the reward")
def check_whitening(train_ppo):
    moves = []
    for scale in (1.0, 1000.0):
        policy, reference = start()
        before = policy.lm.weight.detach().clone()
        train_ppo(policy, reference, CountLiked(scale), PROMPTS, config(beta=0.0, eps=1.0, max_grad_norm=1e9, value_coef=0.0))
        moves.append(float((policy.lm.weight.detach() - before).norm()))
    assert moves[1] < 2 * moves[0], (
        "Your advantages enter the loss as they are; the handout whitens them over the response tokens first."
    )


@test_case(name="one update, step by step")
def check_update(train_ppo):
    first, second = updates(train_ppo)
    assert second < 1.5 * first, "Clear gradients for each minibatch: yours add up."
    assert max(updates(train_ppo, max_grad_norm=1e-3)) < 2e-3, (
        "config.max_grad_norm has no effect: at the moment you clip, if you do, there is no gradient to clip yet."
    )
    assert max(updates(train_ppo, warmup_steps=100)) < 0.1 * first, (
        "The first updates are as large as all others: where does config.warmup_steps come in?"
    )


@test_case(name="a policy with dropout")
def check_dropout(train_ppo):
    policy, reference = start(dropout=0.5)
    rows = train_ppo(policy, reference, CountLiked(), PROMPTS, config(steps=1))
    assert abs(float(rows[0]["kl"])) < 1e-4, (
        "Dropout alone changes your log-probabilities from one pass to the next: the ratio is not 1 before the first "
        "update."
    )


@test_case(name="the unit of kl")
def check_unit(train_ppo):
    # the policy always says 3 and stops; the reference is uniform: two tokens of ln 7 nats each
    weight = torch.zeros(V, V)
    weight[2, 3] = weight[3, 0] = 60.0
    rows = train_ppo(BigramPolicy(weight).eval(), kit.freeze(BigramLM(torch.zeros(V, V))), CountLiked(),
                     [[a, 2] for a in (3, 4, 5, 6)], config(steps=1, rollouts=4, minibatch_size=4))
    kl = float(rows[0]["kl"])
    assert abs(kl - math.log(V)) > 1e-2, (
        "Say whether the number is per token or per sequence: the handout asks for nats per sequence."
    )
    assert abs(kl - 2 * math.log(V)) < 1e-2, "kl sums log pi - log pi_ref over each reply, then averages over replies."
