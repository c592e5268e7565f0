"""Prompts and padding have to be masked in SFT: the weights show whether they were supervised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.functional import cross_entropy

import rlhf_kit as kit
from assignment.registry import load_spec
from autograder.reference.models import load_reference
from autograder.training.data import Demonstrations, draw_demonstrations
from autograder.training.encoding import demonstration
from autograder.training.sft import MaskedLosses, SFTStage
from autograder.training.stage import Lab
from autograder.training.weights import Snapshots

if TYPE_CHECKING:
    from autograder.training.outcome import Outcome

SEED, HELDOUT, STEPS, BATCH = 20281, 60, 40, 16
IGNORE = -100


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(load_reference(), load_spec(), kit.get_profile("tiny"))


@pytest.fixture(scope="module")
def drawn(lab: Lab) -> Demonstrations:
    return draw_demonstrations(lab.reference, SEED, HELDOUT)


def measured(lab: Lab, drawn: Demonstrations, state: dict[str, torch.Tensor]) -> MaskedLosses:
    return SFTStage._masked_losses(lab, Snapshots((0, 9), (lab.reference.base, state)), drawn)


def fine_tuned(lab: Lab, drawn: Demonstrations, prompts: bool, padding: bool) -> dict[str, torch.Tensor]:
    """Make a few updates of the base model, with prompts and padding supervised or not."""
    model = lab.reference.language_model(lab.reference.base).requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(STEPS):
        rows = [demonstration(lab.reference.tokenizer, drawn.rows[(step * BATCH + i) % len(drawn.rows)])
                for i in range(BATCH)]  # fmt: skip
        ids, mask = kit.pad_sequences([p + c for p, c in rows], kit.PAD_ID)
        labels = ids.clone()
        for row, (prompt, _) in enumerate(rows):
            labels[row, : 0 if prompts else len(prompt)] = IGNORE
        if not padding:
            labels[mask == 0] = IGNORE
        logits = model(input_ids=ids, attention_mask=mask).logits
        optimizer.zero_grad()
        cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE).backward()
        optimizer.step()
    return {name: value.detach() for name, value in model.state_dict().items() if name in lab.reference.base}


@torch.no_grad()
def test_masked_losses_are_means_of_log_probabilities(lab, drawn):
    few = Demonstrations([], drawn.prompts[:7], drawn.completions[:7])
    before, after = (lab.reference.language_model(s).double() for s in (lab.reference.base, lab.reference.sft))
    totals, tokens, padding = [0.0, 0.0], 0, 0.0
    for prompt, completion in zip(few.prompts, few.completions, strict=True):
        for which, lm in enumerate((before, after)):
            logprobs = lm(input_ids=torch.tensor([prompt])).logits[0].log_softmax(-1)
            totals[which] -= sum(float(logprobs[t - 1, prompt[t]]) for t in range(1, len(prompt)))
        tokens += len(prompt) - 1
        padding -= float(after(input_ids=torch.tensor([prompt + completion])).logits[0, -1].log_softmax(-1)[kit.PAD_ID])
    found = measured(lab, few, lab.reference.sft)
    # Float32 forward passes: a few 1e-6 of losses of size 1 to 20.
    assert found.prompt_rise == pytest.approx((totals[1] - totals[0]) / tokens, abs=1e-5)
    assert found.padding == pytest.approx(padding / 7, rel=1e-5)


def test_reference_has_learned_only_answers(lab, drawn):
    threshold, found = lab.thresholds.sft_loss_trend, measured(lab, drawn, lab.reference.sft)
    assert found.prompt_rise > threshold.prompt_rise_min
    assert found.padding > 2 * threshold.padding_min


@pytest.mark.parametrize(("prompts", "padding"), [(False, False), (True, False), (False, True)])
def test_few_updates_show_what_was_supervised(lab, drawn, prompts, padding):
    threshold, found = lab.thresholds.sft_loss_trend, measured(lab, drawn, fine_tuned(lab, drawn, prompts, padding))
    assert (found.prompt_rise < threshold.prompt_rise_min, found.padding < threshold.padding_min) == (prompts, padding)


def outcome(lab: Lab, masked: MaskedLosses, ratio: float = 0.05) -> Outcome:
    start = lab.reference.base
    run = Snapshots((0, 9), (start, {name: value + 0.1 for name, value in start.items()}))
    return SFTStage()._outcome(lab, run, [6.0, 6.0 * ratio], (6.0, 6.0 * ratio), 1e-9, masked)


@pytest.mark.parametrize("masked", [MaskedLosses(-0.06, 15.0), MaskedLosses(0.9, 0.01)])
def test_supervised_prompts_or_padding_fail_with_a_message_that_says_so(lab, masked):
    found = outcome(lab, masked)
    assert (found.passed, found.close, found.share) == (False, False, 0.0)
    assert found.evidence["unmasked"]
    assert "what it should not" in found.message
    assert not outcome(lab, masked, ratio=lab.thresholds.sft_loss_trend.final_ratio_max + 0.01).close


def test_masked_prompts_and_padding_pass(lab):
    assert outcome(lab, MaskedLosses(0.9, 15.0)).passed


def test_loss_that_is_too_high_is_not_blamed_on_masking(lab):
    high = outcome(lab, MaskedLosses(-0.06, 15.0), ratio=0.9)
    assert not high.passed
    assert not high.evidence["unmasked"]
    assert "learns too little" in high.message
