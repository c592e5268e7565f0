"""T14 and T15 on bigram policies: figures and updates, worked out from the replies themselves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import rlhf_kit as kit
from rlhf_kit.table_models import BigramLM, BigramPolicy

V = 6
PROMPTS = [[2, a, b] for a in (2, 3, 4) for b in (3, 4, 5)]


def config(**changes):
    base = {
        "steps": 1,
        "rollouts": 9,
        "ppo_epochs": 1,
        "minibatch_size": 9,
        "learning_rate": 0.1,
        "warmup_steps": 2,
        "beta": 0.3,
        "max_new_tokens": 5,
        "gamma": 0.9,
        "lam": 0.8,
        "value_coef": 0.4,
    }
    return kit.PPOConfig(**(base | changes))


def table(seed):
    return torch.randn(V, V, generator=torch.Generator().manual_seed(seed))


def reward(prompt_ids, response_ids):
    return torch.tensor([len(r) + 0.5 * sum(r) / len(r) for r in response_ids])


@pytest.fixture
def phases(monkeypatch):
    """Record the rollouts of a run, in order."""
    drawn, draw = [], kit.rollout
    monkeypatch.setattr(kit, "rollout", lambda *args, **kw: drawn.append(draw(*args, **kw)) or drawn[-1])
    return drawn


def episodes(phase, log_policy, log_reference, values, settings):
    """Compute (state, token, log-ratio, advantage, return) of every response token of a phase, in loops."""
    out = []
    for prompt, reply in zip(phase.prompt_ids, phase.response_ids, strict=True):
        text, n = prompt + reply, len(prompt)
        steps = [(text[t - 1], text[t]) for t in range(n, len(text))]
        gaps = [float(log_policy[s, a] - log_reference[s, a]) for s, a in steps]
        rewards = [-settings.beta * gap for gap in gaps]
        rewards[-1] += float(reward([prompt], [reply])[0])
        advantage = upcoming = 0.0
        rows = []
        for (s, a), gap, r in reversed(list(zip(steps, gaps, rewards, strict=True))):
            advantage = r + settings.gamma * upcoming - float(values[s]) + settings.gamma * settings.lam * advantage
            upcoming = float(values[s])
            rows.append((s, a, gap, advantage, advantage + upcoming))
        out.append(rows[::-1])
    return out


def test_one_ppo_update_is_the_gradient_of_the_objective_on_whitened_advantages(reference, phases):
    settings = config(betas=(0.0, 0.0), eps=1.0, max_grad_norm=1e9)  # the update is rate · g / (|g| + 1)
    values = torch.linspace(-1, 1, V)
    policy, other = BigramPolicy(table(1), values), kit.freeze(BigramLM(table(2)))
    (row,) = reference["train_ppo"](policy, other, reward, PROMPTS, settings)
    logs = [table(seed).double().log_softmax(-1) for seed in (1, 2)]
    replies = episodes(phases[0], *logs, values.double(), settings)
    tokens = [token for reply in replies for token in reply]
    advantages = np.array([token[3] for token in tokens])
    whitened = (advantages - advantages.mean()) / math.sqrt(advantages.var(ddof=1) + 1e-8)
    g, gv = np.zeros((V, V)), np.zeros(V)
    for (s, a, *_), gain in zip(tokens, whitened, strict=True):
        g[s] -= gain * (np.eye(V)[a] - logs[0][s].exp().numpy()) / len(tokens)  # at ratio 1 nothing is clipped
    for s, _, _, _, target in tokens:
        gv[s] += settings.value_coef * (float(values[s]) - target) / len(tokens)
    rate = settings.learning_rate / settings.warmup_steps
    moved = policy.lm.weight.detach().numpy() - table(1).numpy()
    assert np.abs(moved + rate * g / (np.abs(g) + 1)).max() < 1e-6
    moved = policy.value_head.weight.detach().numpy()[:, 0] - values.numpy()
    assert np.abs(moved + rate * gv / (np.abs(gv) + 1)).max() < 1e-6
    assert row["kl"] == pytest.approx(np.mean([sum(t[2] for t in reply) for reply in replies]), abs=1e-5)
    assert row["reward"] == pytest.approx(float(reward(phases[0].prompt_ids, phases[0].response_ids).mean()), rel=1e-6)
    assert row["value_loss"] == pytest.approx(
        0.5 * np.mean([(float(values[t[0]]) - t[4]) ** 2 for t in tokens]), rel=1e-5
    )
    assert (row["approx_kl"], row["clip_fraction"]) == pytest.approx((0, 0), abs=1e-6)


def test_no_prompt_is_repeated_before_all_were_used(reference, phases):
    policy = BigramPolicy(table(1))
    reference["train_ppo"](policy, kit.freeze(BigramLM(table(1))), reward, PROMPTS, config(steps=6, rollouts=3))
    asked = [tuple(p) for phase in phases for p in phase.prompt_ids]
    assert sorted(asked[:9]) == sorted(asked[9:]) == sorted(map(tuple, PROMPTS))
    assert asked[:9] != list(map(tuple, PROMPTS)), "shuffled"


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(reference):
    def run(seed):
        policy = BigramPolicy(table(1))
        rows = reference["train_ppo"](
            policy, kit.freeze(BigramLM(table(1))), reward, PROMPTS, config(steps=2, seed=seed)
        )
        return rows, policy.lm.weight.detach()

    (first, w1), (second, w2), (third, _) = run(1), run(1), run(2)
    assert first == second
    assert torch.equal(w1, w2)
    assert first != third


def test_the_figures_of_a_comparison_follow_from_its_replies(reference):
    policies = {"Other": BigramPolicy(table(1)), "SFT": BigramPolicy(table(2))}
    settings = kit.EvalConfig(max_new_tokens=7, bootstrap=3000, batch_size=4)
    rows = {row["name"]: row for row in reference["compare_policies"](policies, PROMPTS * 8, reward, settings)}
    other, sft = rows["Other"], rows["SFT"]
    logs = [table(seed).double().log_softmax(-1) for seed in (1, 2)]
    scores = {name: reward(None, row["response_ids"]).tolist() for name, row in rows.items()}
    kl = repeats = 0.0
    for prompt, reply in zip(PROMPTS * 8, other["response_ids"], strict=True):
        text = prompt[-1:] + reply
        kl += sum(float(logs[0][s, a] - logs[1][s, a]) for s, a in itertools.pairwise(text)) / 72
        pairs = list(itertools.pairwise(reply))
        repeats += (1 - len(set(pairs)) / len(pairs) if pairs else 0) / 72
    wins = np.array([(a > b) + 0.5 * (a == b) for a, b in zip(scores["Other"], scores["SFT"], strict=True)])
    assert other["kl_to_sft"] == pytest.approx(kl, rel=1e-5)
    assert other["repetition"] == pytest.approx(repeats)
    assert other["mean_reward"] == pytest.approx(np.mean(scores["Other"]))
    assert other["win_rate"] == wins.mean()
    assert other["mean_tokens"] == np.mean([len(r) for r in other["response_ids"]])
    # a percentile interval over 72 prompts is close to the normal one; 15% covers skew and 3000 resamples
    assert other["win_high"] - other["win_low"] == pytest.approx(2 * 1.96 * wins.std() / math.sqrt(72), rel=0.15)
    assert (sft["win_rate"], sft["win_low"], sft["win_high"], sft["n"]) == (0.5, 0.5, 0.5, 72)
    assert sft["kl_to_sft"] == pytest.approx(0, abs=1e-6)
