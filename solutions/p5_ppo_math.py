# %% [markdown]
# # Part 5 · The mathematics of PPO
#
# Now the policy $\pi_\theta$ writes its own replies and the judge scores them. What we maximise is
#
# $$
# J(\theta) \;=\; \mathbb{E}_{x,\; y\sim\pi_\theta(\cdot\mid x)}\Big[\, r_\phi(x,y) \;-\; \beta \log\frac{\pi_\theta(y\mid x)}{\pi_{\text{ref}}(y\mid x)} \Big]
# $$
#
# (Ziegler et al. 2019; Ouyang et al. 2022). The second term is $\beta$ times the KL divergence from the SFT model, the
# *reference*. The judge was trained on texts like the SFT model's; far from these its scores mean nothing, and
# the penalty keeps the policy where the judge can be trusted.
#
# **There is no gradient through $r$.** A sampled token is a whole number; nothing flows back through a draw. (Backward
# on the mean score gives the policy no gradient at all: reinforcement learning exists for this reason.) What can be
# differentiated is the probability of what was drawn. Hence the score-function gradient: *raise the log-probability of
# tokens that turned out better than expected, lower it for the others.*
#
# A reply is an episode: the state is the text so far, the action is the next token $a_t$, the episode ends at EOS. All
# tensors here are `(B, T)`, and a `mask` is 1 on the response tokens: one contiguous run per row, EOS included, at *any*
# offset (prompts differ in length), 0 on prompt and padding.

# %%
from __future__ import annotations

import torch
from torch import Tensor

import rlhf_kit as kit

# %% [markdown]
# ## T10 · Log-probabilities of sampled tokens
#
# **Task.** $\log\pi(a_t\mid s_t)$ for given tokens: `(B, T, V), (B, T) → (B, T)`. Aligned: `logits[:, t]` scores
# `tokens[:, t]`. The caller shifts (in T14 you will pass `logits[:, :-1]` and `ids[:, 1:]`).
#
# **Hint.** `log_softmax`, then `gather` along the last dimension.
#
# **Common mistakes.** Raw logits without normalising · `log(softmax)`, which is $-\infty$ for unlikely tokens ·
# the maximum in place of the sampled token.
#
# **Debug.** Add a constant to all logits of a position: nothing changes. Exponentiate and sum over all tokens: 1.
# **Right** looks like numbers below 0; uniform logits give $-\ln V$.

# %%
# TODO T10 · log-probabilities of the tokens that were sampled
def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of each given token: (B, T, V), (B, T) -> (B, T), in nats.

    Aligned: `logits[:, t]` scores `tokens[:, t]`. The shift by one is the caller's business.
    """
    # BEGIN SOLUTION T10
    return logits.log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    # END SOLUTION


# %% [markdown]
# ## T11 · Rewards per token
#
# **Task.** One score per reply becomes one reward per token. With $k_t = \log\pi_\theta(a_t\mid s_t) - \log\pi_{\text{ref}}(a_t\mid s_t)$,
#
# $$
# r_t \;=\; -\beta\,k_t \;+\; \mathbb{1}[t \text{ is the last response token}]\; r_\phi(x,y),
# $$
#
# and 0 outside the mask. The sum over a reply is $r_\phi - \beta\sum_t k_t$, what $J$ asks for.
#
# **About $k_t$.** For tokens drawn from $\pi_\theta$, the mean of $k_t$ is the KL divergence: it is the estimator "k1" in
# Schulman's note *Approximating KL Divergence* (2020). Single values may be negative, and must be: `abs` or `clamp` would
# destroy the mean. It is an estimate of KL *only* if replies are drawn from the very distribution that is scored.
#
# **Hint.** The last response token of a row is the largest column index at which the mask is 1.
#
# **Common mistakes.** The sign · the score at the last column (padding) instead of the last response token · the score
# at every token · the batch's mean score for all · penalties on prompt tokens.
#
# **Debug.** At $\beta=0$ each row sums to its own score. The sums are linear in $\beta$, with slope $-\sum_t k_t$.
# **Right** looks like small numbers of either sign along a reply, and one large number at its end.

# %%
# TODO T11 · per-token rewards: KL penalty, and the score at the end
def shape_rewards(
    scores: Tensor, logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """Per-token rewards (B, T) from one score per reply (Ziegler et al. 2019).

    scores: (B,). logprobs, ref_logprobs: (B, T), policy and reference, of the sampled tokens.
    mask: (B, T), 1 on one contiguous run of response tokens per row, at any offset.
    Response tokens get -beta * (logprobs - ref_logprobs), the last of them the score as well;
    everything outside the mask is 0, whatever the log-probabilities hold there.
    """
    # BEGIN SOLUTION T11
    inside = mask.bool()
    columns = torch.arange(mask.size(1), device=mask.device)
    last = torch.where(inside, columns, -1).amax(dim=1, keepdim=True)
    penalty = -beta * (logprobs - ref_logprobs)
    rewards = torch.where(columns == last, penalty + scores.unsqueeze(1), penalty)
    return torch.where(inside, rewards, 0.0)
    # END SOLUTION


# %% [markdown]
# ## T12 · Generalised advantage estimation
#
# How much better than expected was a token? The value head $V(s_t)$ says what was expected. The TD error looks one step
# ahead; GAE (Schulman et al. 2015) sums TD errors with weights that fall by $\gamma\lambda$ per step:
#
# $$
# \delta_t = r_t + \gamma V(s_{t+1}) - V(s_t), \qquad
# \hat A_t = \sum_{l\ge 0} (\gamma\lambda)^l\, \delta_{t+l} \;=\; \delta_t + \gamma\lambda\,\hat A_{t+1}, \qquad
# \hat R_t = \hat A_t + V(s_t).
# $$
#
# $\lambda=0$ trusts the value head (low variance, biased by its errors), $\lambda=1$ trusts the sampled rewards alone
# (unbiased, noisy).
#
# **Task.** Advantages (raw: whitening comes later) and returns, both `(B, T)`, 0 outside the mask. The value after the last
# response token is 0, because nothing comes after it.
#
# **Hint.** Walk backwards over the columns and carry two things. Decide what they are *outside* the mask.
#
# **Common mistakes.** Bootstrapping from a padding value · masking only at the end, after padding has leaked into the
# recursion (rows that fill the batch's width are right, shorter ones are off) · $\gamma$ where $\gamma\lambda$ belongs ·
# returning the advantage as the value's target.
#
# **Debug.** Put 99 into all padding: nothing changes. **Right** looks like: $\lambda=0$ gives $\delta_t$, and
# $\gamma=\lambda=1$ with $V=0$ gives the rewards to go.

# %%
# TODO T12 · generalised advantage estimation
def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2015, equations 11-16).

    rewards, values, mask: (B, T); the mask is 1 on one contiguous run of response tokens per row.
    Returns raw (not whitened) advantages and returns = advantages + values, both (B, T) and 0
    outside the mask. The value after the last response token is 0: the episode ends there.
    """
    # BEGIN SOLUTION T12
    inside = mask.bool()
    advantages = torch.zeros_like(rewards)
    next_value = next_advantage = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.size(1))):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        next_advantage = torch.where(inside[:, t], delta + gamma * lam * next_advantage, 0.0)
        next_value = torch.where(inside[:, t], values[:, t], 0.0)
        advantages[:, t] = next_advantage
    return advantages, torch.where(inside, advantages + values, 0.0)
    # END SOLUTION


# %% [markdown]
# ## T13 · The clipped loss
#
# The rollouts came from the policy as it was; several updates are made on them. The ratio
# $\rho_t = \exp(\log\pi_\theta(a_t\mid s_t) - \log\pi_{\text{old}}(a_t\mid s_t))$ corrects for this, and PPO (Schulman et al. 2017)
# stops rewarding a move once it has gone far enough:
#
# $$
# \mathcal{L}_\pi = -\frac1N\sum_t \min\!\big(\rho_t \hat A_t,\; \operatorname{clip}(\rho_t, 1-\varepsilon, 1+\varepsilon)\,\hat A_t\big)
# $$
# $$
# \mathcal{L}_V = \frac{1}{2N}\sum_t \max\!\big((V-\hat R)^2,\; (V_{\text{clip}}-\hat R)^2\big), \quad
# V_{\text{clip}} = V_{\text{old}} + \operatorname{clip}(V-V_{\text{old}}, \pm\varepsilon_V)
# $$
#
# and the loss is $\mathcal{L}_\pi + c_V\mathcal{L}_V$ (`clip_range`, `value_clip`, `value_coef`). $N$ counts response tokens.
# At $\varepsilon = 0.2$:
#
# | $\hat A$ | $\rho$ | loss | gradient | in words |
# | --- | --- | --- | --- | --- |
# | 1 | 1.5 | −1.2 | 0 | good, and already much likelier: enough |
# | 1 | 0.5 | −0.5 | yes | good, but made less likely: undo it |
# | −1 | 1.5 | 1.5 | yes | bad, but made likelier: undo it |
# | −1 | 0.5 | 0.8 | 0 | bad, and already much less likely: enough |
#
# **Task.** The loss, and a dict of floats: `policy_loss`, `value_loss`, `approx_kl` (mean of old − new), `clip_fraction` (share
# of $|\rho-1|>\varepsilon$). Gradient flows into `logprobs` and `values` only.
#
# **Hint.** Select the response tokens first (`x[mask.bool()]`); every mean is then a sum divided by their number.
#
# **Common mistakes.** The sign (ascent or descent?) · `max` for `min` · no clip, or the clipped term alone · old − new in the
# exponent · a detached ratio: right value, no gradient · means over padding.
#
# **Debug.** Test *away from* $\rho=1$, where a whitened batch has policy loss 0 whether the code is right or wrong.
# **Right** looks like the table's four rows, gradients included.

# %%
# TODO T13 · the clipped PPO loss with its value loss and statistics
def ppo_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor,
    values: Tensor, old_values: Tensor, returns: Tensor,
    mask: Tensor, config: kit.PPOConfig,
) -> tuple[Tensor, dict[str, float]]:
    """PPO's clipped loss with a clipped value loss (Schulman et al. 2017): means over the mask.

    All tensors (B, T). Gradient flows into `logprobs` and `values` only.
    config: clip_range (of the ratio), value_clip, value_coef.
    Returns policy loss + value_coef * value loss, and the stats policy_loss, value_loss, approx_kl
    (mean of old - new log-probability) and clip_fraction (share of |ratio - 1| > clip_range), as
    floats.
    """
    # BEGIN SOLUTION T13
    inside = mask.bool()
    count = inside.sum().clamp(min=1)
    log_ratio = (logprobs - old_logprobs.detach())[inside]
    gain = advantages.detach()[inside]
    value, old_value, target = values[inside], old_values.detach()[inside], returns.detach()[inside]

    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
    policy_loss = -torch.minimum(ratio * gain, clipped * gain).sum() / count

    near = old_value + (value - old_value).clamp(-config.value_clip, config.value_clip)
    value_loss = 0.5 * torch.maximum((value - target) ** 2, (near - target) ** 2).sum() / count

    outside_range = (ratio.detach() - 1).abs() > config.clip_range
    stats = {
        "policy_loss": policy_loss.item(),
        "value_loss": value_loss.item(),
        "approx_kl": (-log_ratio.detach().sum() / count).item(),
        "clip_fraction": (outside_range.sum() / count).item(),
    }
    return policy_loss + config.value_coef * value_loss, stats
    # END SOLUTION
