"""T04, T07, T08, T10 against float64 loops that follow the formulas term by term."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

RTOL = 1e-5  # float32 rounding is near 1e-7 a term; sums here have at most a few hundred terms


def logprob(logits, token):
    """Compute the log-softmax by its definition, in Python floats (float64)."""
    top = max(logits)
    return logits[token] - top - math.log(sum(math.exp(x - top) for x in logits))


def draw(seed, *shape):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 4), columns=st.integers(1, 7))
def test_sft_loss_is_the_token_mean_of_shifted_cross_entropy(reference, seed, rows, columns):
    logits = draw(seed, rows, columns, 5).requires_grad_(True)
    labels = torch.randint(-2, 5, (rows, columns), generator=torch.Generator().manual_seed(seed))
    labels[labels < 0] = -100
    terms = [
        -logprob(logits[b, t - 1].tolist(), int(labels[b, t]))
        for b in range(rows)
        for t in range(1, columns)
        if labels[b, t] >= 0
    ]
    loss = reference["sft_loss"](logits, labels)
    assert loss.item() == pytest.approx(sum(terms) / max(1, len(terms)), rel=RTOL, abs=1e-7)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[:, -1].abs().max() == 0  # the last position predicts nothing


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=6), st.floats(-2, 2))
def test_bradley_terry_is_minus_log_sigma_of_the_gap(reference, pairs, margin):
    chosen, rejected = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    expected = sum(math.log1p(math.exp(-(w - r - margin))) for w, r in pairs) / len(pairs)
    assert reference["bradley_terry_loss"](chosen, rejected, margin).item() == pytest.approx(
        expected,
        abs=1e-8,  # softplus is linear above 20, e^-20 = 2e-9 off
    )


def test_bradley_terry_stays_finite_where_sigma_underflows(reference):
    gap = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = reference["bradley_terry_loss"](gap, torch.zeros(2))
    loss.backward()
    assert loss.item() == pytest.approx(5e3)
    assert gap.grad.tolist() == [-0.5, 0.0]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=20))
def test_accuracy_counts_wins_and_half_of_the_ties(reference, pairs):
    chosen, rejected = (torch.tensor(side, dtype=torch.float32) for side in zip(*pairs, strict=True))
    points = sum(1.0 if w > r else 0.5 if w == r else 0.0 for w, r in pairs)
    assert reference["preference_accuracy"](chosen, rejected) == pytest.approx(points / len(pairs))


def test_token_logprobs_are_the_log_softmax_at_the_token(reference):
    logits, tokens = draw(3, 3, 4, 6), torch.randint(0, 6, (3, 4), generator=torch.Generator().manual_seed(4))
    found = reference["token_logprobs"](logits, tokens)
    for b in range(3):
        for t in range(4):
            expected = logprob(logits[b, t].double().tolist(), int(tokens[b, t]))
            assert found[b, t].item() == pytest.approx(expected, rel=RTOL, abs=1e-6)


def test_token_logprobs_of_extreme_logits_stay_finite(reference):
    logits = torch.tensor([[[1e4, 0.0, -1e4]]])
    assert reference["token_logprobs"](logits, torch.tensor([[2]])).item() == pytest.approx(-2e4)
