# %% [markdown]
# # Part 6 · PPO training
#
# The four formulas become a loop. One *step* (a rollout phase) is:
#
# 1. **Roll out.** Take the next `config.rollouts` prompts and let the current policy answer each once.
# 2. **Score.** The reward function gives one number per reply. Policy and reference give log-probabilities of the same
#    tokens, the value head gives values; all of it without gradient. These are the *old* figures: they stay fixed.
# 3. **Credit.** Shape rewards (T11), estimate advantages and returns (T12), *whiten* the advantages over all response
#    tokens of the phase: subtract the mean, multiply by $1/\sqrt{\text{var} + 10^{-8}}$ with the unbiased variance ($n-1$).
# 4. **Learn.** `ppo_epochs` times: shuffle the replies, and for each minibatch compute new log-probabilities and values, the
#    loss (T13), and make one optimiser step.
#
# Everything is in one AdamW over `policy.parameters()`, language model and value head together, with the warm-up factor
# counted in optimiser steps, and gradients clipped as in T05.
#
# **Which column is which.** Logits at $t-1$ score the token at $t$, and the value at $t-1$ is that of the state *before*
# that token. So everything in PPO has $T-1$ columns:
#
# | | |
# | --- | --- |
# | log-probabilities | `token_logprobs(logits[:, :-1], ids[:, 1:])` |
# | values | `values[:, :-1]` |
# | mask | `rollout.response_mask[:, 1:]` |

# %%
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import rlhf_kit as kit
from solutions.p5_ppo_math import gae, ppo_loss, shape_rewards, token_logprobs

RewardFn = Callable[[list[list[int]], list[list[int]]], Tensor]

# %% [markdown]
# ## T14 · The loop
#
# **Task.** Train `policy` in place for `config.steps` steps. Return one dict per step with at least `reward` (mean score of the
# step's replies, before any penalty), `kl` (nats per sequence: $\sum_t k_t$ over a reply, averaged over replies),
# `policy_loss` and `value_loss` (means over the step's minibatches); `approx_kl`, `clip_fraction`, `length` and `entropy` help when
# something is wrong. Call `on_step(step, row)` after each step.
#
# **Given.** `kit.rollout(policy.lm, prompts, max_new_tokens, generator)` samples at temperature 1 and returns `prompt_ids`,
# `response_ids` (lists), `input_ids`, `attention_mask`, `response_mask` (right padded, `(B, T)`). `policy(ids, mask)` gives
# logits and values. `reference(input_ids=…, attention_mask=…).logits`. `reward_fn(prompt_ids, response_ids)`.
#
# **Prompts.** Shuffle them once with the seed and walk through them, so that every prompt gets its turn; begin again when
# they run out.
#
# **Hint.** Two helper functions make it readable: one that collects a phase, one that updates. Keep what a phase collects in
# one dict of tensors, so that one line selects a minibatch from *all* of them alike. Minibatches may be cut to their
# longest row.
#
# **Common mistakes.** Old log-probabilities computed again in each epoch: the ratio is 1 for ever, and nothing is ever
# clipped · a permutation applied to some of the tensors · whitening over padding · the same prompts in every step ·
# sampling at another temperature than is scored: then the "KL" is none, and may go negative for good · dropout on
# while scoring · an optimiser that lacks the value head.
#
# **Debug.** Look at the first steps; the cell below the check prints three short ones. **Right** looks like this:
#
# | must hold | else |
# | --- | --- |
# | <!-- CLAIM kl_starts_at_zero --> `kl` of step 0 is 0 | policy and reference differ: other weights, dropout, or a shift |
# | <!-- CLAIM clip_below_tenth --> `clip_fraction` is exactly 0 in a phase's first minibatch, and well below 10% in all | 0 in every minibatch for ever: old figures recomputed; above: learning rate too high |
# | <!-- CLAIM approx_kl_around_zero approx_kl_hundredth --> `approx_kl` fluctuates around 0, by thousandths, a hundredth at most or little more | far from 0: learning rate too high, columns shifted. Its sign alone proves nothing |
# | <!-- CLAIM good_reward_rises_early poor_reward_rises_early --> in part 7, rewards rise within ten steps or so | is the advantage's sign right? are advantages all equal? |
# | <!-- CLAIM value_loss_falls --> `value_loss` falls | value head not in the optimiser; returns wrong |

# %%
# TODO T14 · the PPO training loop
def train_ppo(
    policy: kit.Policy,
    reference: nn.Module,
    reward_fn: RewardFn,
    prompts: Sequence[list[int]],
    config: kit.PPOConfig,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> list[dict[str, float]]:
    """Train `policy` in place with PPO, for `config.steps` rollout phases.

    policy: kit.Policy, forward(input_ids, attention_mask) -> logits (B, T, V), values (B, T).
    reference: frozen causal LM, `reference(input_ids=..., attention_mask=...).logits`.
    reward_fn: (prompt_ids, response_ids), lists of token lists -> scores (B,), no gradient.
    prompts: lists of token ids; all of them get their turn. on_step: called as on_step(step, row).
    Returns one dict per phase with at least reward (mean score), kl (nats per sequence),
    policy_loss and value_loss.
    """
    # BEGIN SOLUTION T14
    device = next(policy.parameters()).device
    generator = torch.Generator(device=device).manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        policy.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
        weight_decay=config.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: kit.warmup_factor(k, config.warmup_steps))
    order = torch.randperm(len(prompts), generator=generator, device=device).tolist()
    history: list[dict[str, float]] = []
    policy.eval()  # no dropout: the ratio must be exactly 1 before the first update
    for step in range(config.steps):
        turn = range(step * config.rollouts, (step + 1) * config.rollouts)
        phase_prompts = [prompts[order[i % len(order)]] for i in turn]
        phase, row = collect(policy, reference, reward_fn, phase_prompts, config, generator)
        row |= update(policy, optimizer, schedule, phase, config, generator)
        history.append(row)
        if on_step is not None:
            on_step(step, row)
    return history


def score_tokens(policy: kit.Policy, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of tokens 1 … T-1 and the values of the states before them, both (B, T - 1)."""
    logits, values = policy(ids, mask)
    return token_logprobs(logits[:, :-1], ids[:, 1:]), values[:, :-1]


def whiten(advantages: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and unbiased variance 1 over the response tokens, (B, T) -> (B, T)."""
    tokens = advantages[mask.bool()]
    centred = advantages - tokens.mean()
    variance = (tokens - tokens.mean()).square().sum() / max(1, tokens.numel() - 1)
    return centred * torch.rsqrt(variance + 1e-8) * mask


@torch.no_grad()
def collect(
    policy: kit.Policy, reference: nn.Module, reward_fn: RewardFn, prompts: list[list[int]],
    config: kit.PPOConfig, generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """One rollout phase: what the update needs, tensors with one row per reply, and what to report."""
    rollout = kit.rollout(policy.lm, prompts, config.max_new_tokens, generator)
    ids, attention, mask = rollout.input_ids, rollout.attention_mask, rollout.response_mask[:, 1:]
    logprobs, values = score_tokens(policy, ids, attention)
    ref_logits = reference(input_ids=ids, attention_mask=attention).logits
    ref_logprobs = token_logprobs(ref_logits[:, :-1], ids[:, 1:])
    scores = reward_fn(rollout.prompt_ids, rollout.response_ids).to(ids.device, values.dtype)
    rewards = shape_rewards(scores, logprobs, ref_logprobs, mask, config.beta)
    advantages, returns = gae(rewards, values, mask, config.gamma, config.lam)
    phase = {
        "ids": ids, "attention": attention, "mask": mask, "logprobs": logprobs, "values": values,
        "advantages": whiten(advantages, mask), "returns": returns,
    }
    inside = mask.bool()
    row = {
        "reward": scores.mean().item(),
        "kl": torch.where(inside, logprobs - ref_logprobs, 0.0).sum(dim=1).mean().item(),
        "length": mask.sum(dim=1).mean().item(),
        "entropy": -logprobs[inside].mean().item(),  # per token, estimated on the sampled tokens
    }
    return phase, row


def update(
    policy: kit.Policy, optimizer: torch.optim.Optimizer, schedule: Any, phase: dict[str, Tensor],
    config: kit.PPOConfig, generator: torch.Generator,
) -> dict[str, float]:
    """`ppo_epochs` passes over the phase in shuffled minibatches; returns the mean of their stats."""
    rows, device = len(phase["ids"]), phase["ids"].device
    collected: list[dict[str, float]] = []
    for _ in range(config.ppo_epochs):
        for chosen in torch.randperm(rows, generator=generator, device=device).split(config.minibatch_size):
            part = {name: tensor[chosen] for name, tensor in phase.items()}
            width = int(part["attention"].sum(dim=1).max())  # right padded: drop the columns nobody needs
            ids, attention = part["ids"][:, :width], part["attention"][:, :width]
            logprobs, values = score_tokens(policy, ids, attention)
            fixed = {name: part[name][:, : width - 1] for name in phase if name not in ("ids", "attention")}
            loss, stats = ppo_loss(
                logprobs, fixed["logprobs"], fixed["advantages"], values, fixed["values"],
                fixed["returns"], fixed["mask"], config,
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
            optimizer.step()
            schedule.step()
            collected.append(stats)
    return {name: sum(s[name] for s in collected) / len(collected) for name in collected[0]}
    # END SOLUTION


# %%
if __name__ == "__main__":
    pipeline.needs("sft_lm", "reward_models", "train_prompts")
    trial = dataclasses.replace(
        profile.ppo, steps=3, rollouts=16, minibatch_size=8, warmup_steps=1, calibration_prompts=64
    )
    trial_reward = pipeline.reward_function(reward_models["Good RM"], sft_lm, train_prompts, trial)
    with kit.ProgressBar(trial.steps, "Three short steps") as bar:
        _, trial_rows = pipeline.run_ppo(sft_lm, trial_reward, train_prompts, trial, on_step=bar)
    for row in trial_rows:
        print("  ".join(f"{key} {value:.4f}" for key, value in row.items()))
