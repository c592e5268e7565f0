"""Reward shaping, generalised advantage estimation and the clipped PPO loss, from their definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autograder.slots.oracles.losses import Floats


def shape_rewards(scores: Floats, logprobs: Floats, ref_logprobs: Floats, mask: Floats, beta: float) -> Floats:
    """-β (log π - log π_ref) on response tokens, the score added at the last one, 0 elsewhere.

    scores (B,), the others (B, T) (Ziegler et al. 2019, equation 2, applied per token).
    """
    out = np.zeros_like(logprobs)
    for row, score in enumerate(scores):
        run = np.flatnonzero(mask[row])
        out[row, run] = -beta * (logprobs[row, run] - ref_logprobs[row, run])
        out[row, run[-1]] += score
    return out


def gae(rewards: Floats, values: Floats, mask: Floats, gamma: float, lam: float) -> tuple[Floats, Floats]:
    """Advantages Σ_k (γλ)^k δ_{t+k} with δ_t = r_t + γ V_{t+1} - V_t, and returns A + V, 0 outside the mask.

    All (B, T). V is 0 after the last response token (Schulman et al. 2015, equation 16, summed directly).
    """
    advantages, returns = np.zeros_like(rewards), np.zeros_like(rewards)
    for row in range(len(rewards)):
        run = np.flatnonzero(mask[row])
        value = values[row, run]
        delta = rewards[row, run] + gamma * np.append(value[1:], 0.0) - value
        steps = np.arange(len(run))
        distance = steps[None, :] - steps[:, None]
        weight = np.where(distance >= 0, (gamma * lam) ** np.maximum(distance, 0), 0.0)
        advantages[row, run] = weight @ delta
        returns[row, run] = advantages[row, run] + value
    return advantages, returns


def whiten(advantages: Floats, mask: Floats) -> Floats:
    """Scale to mean 0 and variance 1 (n - 1 form, rsqrt(var + 1e-8)) over response tokens; 0 elsewhere."""
    inside = advantages[mask > 0]
    out = (advantages - inside.mean()) / np.sqrt(inside.var(ddof=1) + 1e-8)
    return np.where(mask > 0, out, 0.0)


def ppo_loss(
    logprobs: Floats, old_logprobs: Floats, advantages: Floats, values: Floats, old_values: Floats,
    returns: Floats, mask: Floats, config: Any,
) -> dict[str, Any]:  # fmt: skip
    """The clipped surrogate and the clipped value loss as token means (Schulman et al. 2017, equation 7).

    All arrays are (B, T). Returns loss, policy_loss, value_loss, approx_kl, clip_fraction, the gradients in logprobs
    and values, and `margin`: the distance of the nearest token from a point where a gradient jumps. The surrogate has a
    gradient where A > 0 and ratio < 1 + ε, or A < 0 and ratio > 1 - ε.
    """
    on, limit = mask > 0, config.value_clip
    count = max(on.sum(), 1)
    ratio = np.exp(np.where(on, logprobs - old_logprobs, 0.0))
    low, high = 1 - config.clip_range, 1 + config.clip_range
    up = advantages >= 0
    surrogate = np.where(up, np.minimum(ratio, high), np.maximum(ratio, low)) * advantages
    active = on & np.where(up, ratio < high, ratio > low)
    step = np.where(on, values - old_values, 0.0)
    near = old_values + np.clip(step, -limit, limit)
    free, held = (values - returns) ** 2, (near - returns) ** 2
    follows = on & ((free >= held) | (np.abs(step) < limit))
    policy_loss = -np.where(on, surrogate, 0.0).sum() / count
    value_loss = 0.5 * np.where(on, np.maximum(free, held), 0.0).sum() / count
    borders = [
        np.abs(np.abs(ratio - 1) - config.clip_range)[on], np.abs(np.abs(step) - limit)[on],
        np.abs(free - held)[on & (np.abs(step) > limit)],
    ]  # fmt: skip
    return {
        "loss": policy_loss + config.value_coef * value_loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "approx_kl": np.where(on, old_logprobs - logprobs, 0.0).sum() / count,
        "clip_fraction": (on & (np.abs(ratio - 1) > config.clip_range)).sum() / count,
        "gradient_logprobs": np.where(active, -ratio * advantages, 0.0) / count,
        "gradient_values": config.value_coef * np.where(follows, values - returns, 0.0) / count,
        "margin": float(min((x.min() for x in borders if x.size), default=1.0)),
    }
