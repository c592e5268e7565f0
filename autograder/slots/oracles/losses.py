"""Losses of SFT and of the reward model, and token log-probabilities: values with closed-form gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
IGNORE = -100


def log_softmax(logits: Floats) -> Floats:
    """log softmax over the last axis: (..., V) -> (..., V)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def one_hot(tokens: Ints, vocab: int) -> Floats:
    """1 at each token's index and 0 elsewhere: (...) -> (..., V)."""
    hot: Floats = (tokens[..., None] == np.arange(vocab)).astype(np.float64)
    return hot


def sft_loss(logits: Floats, labels: Ints) -> tuple[float, Floats]:
    """Mean next-token cross-entropy over the supervised tokens, and its gradient in the logits.

    logits (B, T, V), labels (B, T) with -100 where nothing is supervised. Without a supervised token, loss and gradient
    are 0. The gradient at (b, t) is (softmax(logits[b, t]) - onehot(labels[b, t + 1])) / count.
    """
    targets = labels[:, 1:]
    kept = targets != IGNORE
    count = max(int(kept.sum()), 1)
    logp = log_softmax(logits[:, :-1])
    hot = one_hot(np.where(kept, targets, 0), logits.shape[-1]) * kept[..., None]
    gradient = np.zeros_like(logits)
    gradient[:, :-1] = (np.exp(logp) * kept[..., None] - hot) / count
    return float(-(hot * logp).sum() / count), gradient


def bradley_terry(chosen: Floats, rejected: Floats, margin: float = 0.0) -> tuple[float, Floats, Floats]:
    """Mean of log(1 + exp(-(r_w - r_l - margin))), with its gradients in r_w and r_l (Bradley & Terry 1952).

    d/dr_w = -sigmoid(-(r_w - r_l - margin)) / B = -d/dr_l.
    """
    gap = chosen - rejected - margin
    gradient = -np.exp(-np.logaddexp(0.0, gap)) / len(gap)
    return float(np.logaddexp(0.0, -gap).mean()), gradient, -gradient


def preference_accuracy(chosen: Floats, rejected: Floats) -> float:
    """The share of pairs that are ranked right; a tie counts one half."""
    return float(((np.sign(chosen - rejected) + 1) / 2).mean())


def token_logprobs(logits: Floats, tokens: Ints, weights: Floats) -> tuple[Floats, Floats]:
    """log softmax(logits[b, t])[tokens[b, t]], and the gradient in the logits of its sum weighted by `weights`."""
    logp = log_softmax(logits)
    hot = one_hot(tokens, logits.shape[-1])
    return (logp * hot).sum(axis=-1), weights[..., None] * (hot - np.exp(logp))
