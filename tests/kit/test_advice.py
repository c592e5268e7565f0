"""What checks say about numbers: the one cause that gives them, or what was seen. The optimiser's rules by PyTorch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from rlhf_kit.advice import Watch, explain, near
from rlhf_kit.config import SFTConfig
from rlhf_kit.optimiser_advice import FAULTS, Rules, after_updates, explain_updates

CONFIG = SFTConfig(0.1, 3, 1, 2, betas=(0.5, 0.75), eps=0.5, weight_decay=0.25, max_grad_norm=0.7)
RULES = Rules.of(CONFIG)
START = torch.ones(3, 2)
GRADIENTS = [torch.randn(3, 2, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]


def test_a_cause_is_named_if_it_alone_gives_the_number():
    text = explain(2.0, 1.0, "Loss (2, 3)", {"A sum.": 2.0, "A half.": 0.5})
    assert text == "A sum. Loss (2, 3): you have 2, expected 1 (within 0.0001)."


def test_no_cause_is_named_if_two_give_the_number():
    text = explain(2.0, 1.0, "Loss", {"A sum.": 2.0, "A double.": 2.0})
    assert text == "Loss: you have 2, expected 1 (within 0.0001)."


def test_two_forms_of_one_mistake_are_one_cause():
    assert explain(2.0, 1.0, "Loss", [("A sum.", 2.0), ("A sum.", 2.0)]).startswith("A sum.")


def test_a_long_tensor_is_shown_where_it_is_most_off():
    wanted = torch.zeros(4, 5)
    seen = wanted.clone()
    seen[2, 3] = 7
    assert "at [2, 3] you have 7, expected 0" in explain(seen, wanted, "Table")


def test_another_shape_is_named():
    assert "you have the shape (2, 1), expected (2,)" in explain(torch.zeros(2, 1), torch.zeros(2), "Scores")


@pytest.mark.parametrize(
    ("seen", "wanted", "equal"),
    [
        (1000.05, 1000.0, True),
        (0.0002, 0.0, False),
        (math.inf, math.inf, True),
        (0.0, -math.inf, False),
        (math.nan, math.nan, False),
        ([1.0, 2.0], (1, 2), True),
    ],
)
def test_near_is_relative_above_1_and_exact_at_infinity(seen, wanted, equal):
    assert near(seen, wanted) is equal


def by_pytorch(kind: type[torch.optim.Optimizer], *, clear: bool = True, **changes) -> torch.Tensor:
    """Return the weights after the updates that PyTorch's optimiser makes with CONFIG and these changes."""
    config = replace(CONFIG, **changes)
    weight = nn.Parameter(START.clone())
    settings = {} if kind is torch.optim.SGD else {"betas": config.betas, "eps": config.eps}
    optimiser = kind([weight], lr=config.learning_rate, weight_decay=config.weight_decay, **settings)
    weight.grad = torch.zeros_like(weight)
    for step, gradient in enumerate(GRADIENTS):
        weight.grad = gradient.clone() + (0 if clear else weight.grad)
        nn.utils.clip_grad_norm_([weight], config.max_grad_norm)
        optimiser.param_groups[0]["lr"] = config.learning_rate * min(1.0, (step + 1) / config.warmup_steps)
        optimiser.step()
    return weight.detach()


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD])
def test_updates_by_hand_are_those_of_pytorch(kind):
    rules = replace(RULES, kind=kind.__name__)
    assert near(after_updates(START, GRADIENTS, rules), by_pytorch(kind), 1e-5)


def test_gradients_that_pile_up_are_those_of_pytorch():
    assert near(
        after_updates(START, GRADIENTS, replace(RULES, piled=True)), by_pytorch(torch.optim.AdamW, clear=False), 1e-5
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_optimiser_is_told_from_all_others(fault):
    seen = after_updates(START, GRADIENTS, replace(RULES, **FAULTS[fault]))
    assert explain_updates(seen, START, GRADIENTS, RULES, "Weights").startswith(fault)


def test_two_faults_at_once_are_both_named():
    seen = by_pytorch(torch.optim.AdamW, clear=False, eps=1e-8)
    text = explain_updates(seen, START, GRADIENTS, RULES, "Weights")
    assert "config.eps does not reach" in text
    assert "pile up" in text


def test_unknown_weights_are_only_described():
    text = explain_updates(torch.full((3, 2), 5.0), START, GRADIENTS, RULES, "Weights (3, 2)")
    assert text.startswith("Weights (3, 2): you have [[5, 5]")


@pytest.mark.parametrize(
    ("loop", "why"),
    [
        (lambda w, o: None, "no step"),
        (lambda w, o: torch.optim.SGD([nn.Parameter(START.clone())], 0.1).step(), "not held"),
        (lambda w, o: o.step(), "no backward pass of yours reaches it"),
        (lambda w, o: ((0 * w).sum().backward(), o.step()), "a gradient of 0"),
        (lambda w, o: (w.sum().backward(), o.zero_grad(), o.step()), "You erase the gradient"),
        (lambda w, o: (w.sum().backward(), o.param_groups[0].update(lr=0.0), o.step()), "learning rate was 0"),
    ],
)
def test_watch_says_why_a_weight_did_not_learn(loop, why):
    weight = nn.Parameter(START.clone())
    optimiser = torch.optim.SGD([weight], 0.1)
    with Watch(weight) as seen:
        loop(weight, optimiser)
    assert not seen.learned
    assert why in seen.why_not("it", "no step", "not held")


def test_watch_keeps_the_weights_and_gradients_of_each_step():
    weight = nn.Parameter(START.clone())
    optimiser = torch.optim.SGD([weight], 0.1)
    with Watch(weight) as seen:
        for factor in (1, 2):
            optimiser.zero_grad()
            (factor * weight).sum().backward()
            optimiser.step()
    assert seen.learned
    assert [float(g[0, 0]) for g in seen.gradients] == [1.0, 2.0]
    assert near([float(v[0, 0]) for v in seen.values], [1.0, 0.9, 0.7])
