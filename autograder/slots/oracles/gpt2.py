"""The forward pass of GPT-2 in float64 NumPy, one unpadded sequence at a time (Radford et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.slots.oracles.losses import Floats, Ints

EPS = 1e-5  # of the layer norms: the default of GPT-2


def body(state: Mapping[str, Floats], ids: Ints, heads: int) -> tuple[Floats, Floats]:
    """Hidden states (T, D) after the last layer norm, and the same without its scale and shift.

    state: parameters by their names in the GPT2Model of transformers. ids: (T,). heads: of attention.
    """
    x = state["wte.weight"][ids] + state["wpe.weight"][: len(ids)]
    for layer in range(sum(name.endswith("ln_1.weight") for name in state)):
        name = f"h.{layer}."
        x = x + _attention(state, name + "attn.", _norm(state, name + "ln_1.", x), heads)
        inner = _gelu(_linear(state, name + "mlp.c_fc.", _norm(state, name + "ln_2.", x)))
        x = x + _linear(state, name + "mlp.c_proj.", inner)
    normal = _standardised(x)
    return normal * state["ln_f.weight"] + state["ln_f.bias"], normal


def _standardised(x: Floats) -> Floats:
    out: Floats = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + EPS)
    return out


def _norm(state: Mapping[str, Floats], name: str, x: Floats) -> Floats:
    return _standardised(x) * state[name + "weight"] + state[name + "bias"]


def _linear(state: Mapping[str, Floats], name: str, x: Floats) -> Floats:
    return x @ state[name + "weight"] + state[name + "bias"]  # the weights of Conv1D are (in, out)


def _gelu(x: Floats) -> Floats:
    out: Floats = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return out


def _attention(state: Mapping[str, Floats], name: str, x: Floats, heads: int) -> Floats:
    length, width = x.shape
    q, k, v = np.split(_linear(state, name + "c_attn.", x), 3, axis=-1)
    q, k, v = (m.reshape(length, heads, -1).transpose(1, 0, 2) for m in (q, k, v))
    logits = q @ k.transpose(0, 2, 1) / np.sqrt(width // heads)
    logits = np.where(np.tril(np.ones((length, length))) > 0, logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mixed = (weights / weights.sum(axis=-1, keepdims=True)) @ v
    return _linear(state, name + "c_proj.", mixed.transpose(1, 0, 2).reshape(length, width))
