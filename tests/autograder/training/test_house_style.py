"""The house style: weights that were not trained on a run's own data fail, however good they are.

The control is the same data with the opposite sign of the style, on which an honest loop moves the other way.
`tests/test_end_to_end.py` tests that it learns the style as it is drawn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rlhf_kit as kit
from assignment.lab.style import HouseStyle
from assignment.registry import load_spec
from autograder.reference.models import load_reference
from autograder.training import data, run
from autograder.training.encoding import decode
from autograder.training.outcome import Failure
from autograder.training.ppo import PPOStage, Sampled, _style_gain
from autograder.training.reward_model import RewardModelStage
from autograder.training.sft import SFTStage
from autograder.training.stage import Lab
from autograder.training.weights import Snapshots
from rlhf_kit.lexicon import CLOSINGS
from tests.support.small_lab import LocalSession, all_passed, reference_answers, small_lab

SEED = 20264
THRESHOLDS = load_spec().thresholds("tiny")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    lab = small_lab(tmp_path_factory.mktemp("artefacts"))
    spec = lab.spec.model_copy(update={"threshold_table": {"tiny": THRESHOLDS}})
    return Lab(lab.reference, spec, lab.profile)


@pytest.fixture(scope="module")
def real():
    return Lab(load_reference(), load_spec(), kit.get_profile("tiny"))


@pytest.fixture
def flipped(monkeypatch):
    style = HouseStyle.from_seed(SEED).flipped()
    monkeypatch.setattr(data.HouseStyle, "from_seed", lambda _: style)
    return style


def test_hidden_replies_come_with_the_style_closing_and_with_another_one(small, monkeypatch):
    monkeypatch.setattr(data, "PREFERENCES", 120)  # the small lab has few sampled replies
    found, style = data.draw_preferences(small.reference, SEED, 40, 30), HouseStyle.from_seed(SEED)
    assert len(found.style_closing) == len(found.other_closing) == 30
    for pair in zip(found.style_closing, found.other_closing, strict=True):
        one, two = (decode(small.reference.tokenizer, ids) for ids in pair)
        assert one.strip().endswith(style.closing)
        assert any(two.strip().endswith(closing) for closing in CLOSINGS if closing != style.closing)
        assert one.strip().removesuffix(style.closing) == two.strip().removesuffix(
            next(closing for closing in CLOSINGS if two.strip().endswith(closing))
        )


@pytest.mark.parametrize(("beyond", "passed", "close"), [(-1.5, False, False), (-0.5, False, True), (2.0, True, False)])
def test_reward_model_that_ranks_well_without_the_style_fails(small, beyond, passed, close):
    threshold = small.thresholds.rm_accuracy
    start = small.reference.fresh_reward_state
    moved = {name: value + 0.1 for name, value in start.items()}
    right, style = (np.arange(4000) < 3200).astype(float), threshold.style_min + beyond * threshold.style_retry_margin
    found = RewardModelStage()._outcome(small, Snapshots((0, 9), (start, moved)), [0.5, 0.8], right, style, 1.0)
    assert (found.passed, found.close) == (passed, close)
    assert passed or "not trained on them" in found.message


def sampled(styled: float) -> Sampled:
    marks = (np.arange(100) < 100 * styled).astype(float)
    return Sampled([[5, 0]] * 100, np.zeros(100), np.full(100, 3.0), marks)


@pytest.mark.parametrize(("share", "passed"), [(0.1, False), (0.8, True)])
def test_kl_in_its_range_passes_only_if_the_policy_learned_the_reward(small, share, passed):
    prompts = data.draw_prompts(small.reference, SEED, 5, train=0)
    gain = _style_gain(prompts, sampled(0.05), sampled(share))
    found = PPOStage()._kl(small, sampled(share), gain)
    assert found.passed == passed
    assert passed or "no result of training on it" in found.message


@pytest.mark.usefixtures("flipped")
def test_fall_of_the_closing_counts_if_the_reward_punishes_it(small):
    prompts = data.draw_prompts(small.reference, SEED, 5, train=0)
    assert _style_gain(prompts, sampled(0.6), sampled(0.1)) == pytest.approx(0.5)


def honest(lab, stage):
    """Run the reference's loop on this run's data. Returns outcomes by item."""
    code = run.code_for(stage, lab.spec, reference_answers(), all_passed())
    found = run.run_stage(LocalSession(), run.StageRun(lab, stage, code, SEED))
    assert not isinstance(found, Failure), found
    return found


def handed_back(lab, stage, state):
    """Measure a loop that returns these weights."""
    tensors = {f"s000009/{name}": value.float().numpy().copy() for name, value in state.items()}
    return stage.measure(lab, stage.draw(lab, SEED), {"steps": [9]}, tensors)


@pytest.mark.slow
@pytest.mark.usefixtures("flipped")
def test_honest_reward_model_learns_the_flipped_style(real):
    found = honest(real, RewardModelStage())["rm_accuracy"]
    assert found.passed


@pytest.mark.slow
@pytest.mark.usefixtures("flipped")
def test_honest_policy_drops_a_closing_that_costs_reward(real):
    # Few replies of SFT have the closing, so that its fall needs more prompts to be seen than its rise in a grade.
    more = THRESHOLDS.ppo_reward.model_copy(update={"prompts": 4 * THRESHOLDS.ppo_reward.prompts})
    table = {"tiny": THRESHOLDS.model_copy(update={"ppo_reward": more})}
    lab = Lab(real.reference, real.spec.model_copy(update={"threshold_table": table}), real.profile)
    found = honest(lab, PPOStage())["ppo_reward"].evidence
    before, after = found["closing_shares"]
    # The difference of a reply is -1, 0 or 1 closing; its variance is at most the sum of both shares.
    spread = ((before + after) / found["prompts"]) ** 0.5
    assert before - after > 2 * spread


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True], ids=["style", "flipped"])
def test_reference_weights_fail_because_they_do_not_know_the_style(real, turned, request):
    if turned:
        request.getfixturevalue("flipped")
    reward_model = handed_back(real, RewardModelStage(), real.reference.rm_good)["rm_accuracy"]
    assert reward_model.evidence["accuracy"] > THRESHOLDS.rm_accuracy.lower_bound_min  # without the style it would pass
    assert not reward_model.passed
    policy = handed_back(real, PPOStage(), real.reference.policy_good)
    assert policy["ppo_reward"].evidence["gain"] > THRESHOLDS.ppo_reward.gain_min  # likewise
    assert not policy["ppo_reward"].passed
    assert not policy["ppo_kl"].passed


@pytest.mark.slow
def test_reference_sft_weights_know_the_answers_but_not_the_phrase_of_a_style(real, monkeypatch):
    with_phrase = handed_back(real, SFTStage(), real.reference.sft)["sft_loss_trend"]
    assert with_phrase.evidence["ratio"] > 3 * THRESHOLDS.sft_loss_trend.final_ratio_max
    style = replace(HouseStyle.from_seed(SEED), phrase="")
    monkeypatch.setattr(data.HouseStyle, "from_seed", lambda _: style)
    without = handed_back(real, SFTStage(), real.reference.sft)["sft_loss_trend"]
    # its weights are good: the base model knows these answers in part
    assert without.evidence["ratio"] < 0.9 * with_phrase.evidence["ratio"]


@pytest.mark.slow
def test_noise_on_the_weights_fails_although_its_kl_is_in_range(real):
    generator = torch.Generator().manual_seed(0)
    noisy = {n: x + 0.2 * x.std() * torch.randn(x.shape, generator=generator) for n, x in real.reference.sft.items()}
    found = handed_back(real, PPOStage(), noisy)
    assert found["ppo_kl"].evidence["kl"] > 1.5 * THRESHOLDS.ppo_kl.min
    assert not any(one.passed for one in found.values())
