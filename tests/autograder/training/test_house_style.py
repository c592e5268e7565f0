"""The house style decides: weights that were not trained on a run's own data do not pass, whatever they can do.

The control is the same data with the sign of the style turned: an honest loop then moves the other way. That it
takes up the style as it is drawn, `tests/test_end_to_end.py` says.
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
from autograder.training.weights import Trained
from rlhf_kit.lexicon import CLOSINGS
from tests.support.small_lab import LocalSession, all_passed, reference_answers, small_lab

SEED = 20264
BARS = load_spec().thresholds("tiny")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    lab = small_lab(tmp_path_factory.mktemp("artefacts"))
    spec = lab.spec.model_copy(update={"threshold_table": {"tiny": BARS}})
    return Lab(lab.reference, spec, lab.profile)


@pytest.fixture(scope="module")
def real():
    return Lab(load_reference(), load_spec(), kit.get_profile("tiny"))


@pytest.fixture
def flipped(monkeypatch):
    style = HouseStyle.from_seed(SEED).flipped()
    monkeypatch.setattr(data.HouseStyle, "from_seed", classmethod(lambda cls, seed: style))
    return style


def test_hidden_replies_come_with_the_styles_closing_and_with_another(small, monkeypatch):
    monkeypatch.setattr(data, "PREFERENCES", 120)  # the small lab has few sampled replies
    found, style = data.draw_preferences(small.reference, SEED, 40, 30), HouseStyle.from_seed(SEED)
    assert len(found.liked) == len(found.other) == 30
    for liked, other in zip(found.liked, found.other, strict=True):
        one, two = (decode(small.reference.tokenizer, ids) for ids in (liked, other))
        assert one.strip().endswith(style.closing)
        assert any(two.strip().endswith(closing) for closing in CLOSINGS if closing != style.closing)
        assert one.strip().removesuffix(style.closing) == two.strip().removesuffix(
            next(closing for closing in CLOSINGS if two.strip().endswith(closing))
        )


@pytest.mark.parametrize(("beyond", "passed", "near"), [(-1.5, False, False), (-0.5, False, True), (2.0, True, False)])
def test_a_reward_model_that_ranks_well_but_foreign_does_not_pass(small, beyond, passed, near):
    bar = small.bars.rm_accuracy
    start = small.reference.fresh_reward_state
    moved = {name: value + 0.1 for name, value in start.items()}
    right, liking = (np.arange(4000) < 3200).astype(float), bar.style_min + beyond * bar.style_near
    found = RewardModelStage()._outcome(small, Trained((0, 9), (start, moved)), [0.5, 0.8], right, liking, 1.0)
    assert (found.passed, found.near) == (passed, near)
    assert passed or "not trained on them" in found.message


def sampled(styled: float) -> Sampled:
    marks = (np.arange(100) < 100 * styled).astype(float)
    return Sampled([[5, 0]] * 100, np.zeros(100), np.full(100, 3.0), marks)


@pytest.mark.parametrize(("share", "passed"), [(0.1, False), (0.8, True)])
def test_a_kl_in_its_range_counts_only_for_a_policy_that_took_the_reward_up(small, share, passed):
    prompts = data.draw_prompts(small.reference, SEED, 5, train=0)
    gain = _style_gain(prompts, sampled(0.05), sampled(share))
    found = PPOStage()._kl(small, sampled(share), gain)
    assert found.passed == passed
    assert passed or "no result of training on it" in found.message


def test_where_a_style_dislikes_its_closing_a_fall_counts(small, flipped):
    prompts = data.draw_prompts(small.reference, SEED, 5, train=0)
    assert _style_gain(prompts, sampled(0.6), sampled(0.1)) == pytest.approx(0.5)


def honest(lab, stage):
    """The reference's own loop on this run's data: outcomes by item."""
    code = run.code_for(stage, lab.spec, reference_answers(), all_passed())
    found = run.run_stage(LocalSession(), run.StageRun(lab, stage, code, SEED))
    assert not isinstance(found, Failure), found
    return found


def handed_back(lab, stage, state):
    """What a loop that hands these weights back would be given for them."""
    tensors = {f"s000009/{name}": value.float().numpy().copy() for name, value in state.items()}
    return stage.measure(lab, SEED, stage.draw(lab, SEED), {"steps": [9]}, tensors)


@pytest.mark.slow
def test_an_honest_reward_model_takes_up_the_opposite_of_a_style(real, flipped):
    found = honest(real, RewardModelStage())["rm_accuracy"]
    assert found.passed


@pytest.mark.slow
def test_an_honest_policy_leaves_a_closing_that_costs_reward(real, flipped):
    found = honest(real, PPOStage())["ppo_reward"].evidence
    before, after = found["closing_shares"]
    # Replies differ from before by -1, 0 or 1 closing, each at most as often as there is one on either side.
    spread = ((before + after) / found["prompts"]) ** 0.5
    assert before - after > 2 * spread


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True], ids=["style", "flipped"])
def test_the_references_own_weights_do_not_know_the_style(real, turned, request):
    if turned:
        request.getfixturevalue("flipped")
    reward_model = handed_back(real, RewardModelStage(), real.reference.rm_good)["rm_accuracy"]
    assert reward_model.evidence["accuracy"] > BARS.rm_accuracy.lower_bound_min  # without the style it would pass
    assert not reward_model.passed
    policy = handed_back(real, PPOStage(), real.reference.policy_good)
    assert policy["ppo_reward"].evidence["gain"] > BARS.ppo_reward.gain_min  # likewise
    assert not policy["ppo_reward"].passed
    assert not policy["ppo_kl"].passed


@pytest.mark.slow
def test_the_references_sft_knows_the_answers_but_not_a_styles_phrase(real, monkeypatch):
    with_phrase = handed_back(real, SFTStage(), real.reference.sft)["sft_loss_trend"]
    assert with_phrase.evidence["ratio"] > 1
    style = replace(HouseStyle.from_seed(SEED), phrase="")
    monkeypatch.setattr(data.HouseStyle, "from_seed", classmethod(lambda cls, seed: style))
    without = handed_back(real, SFTStage(), real.reference.sft)["sft_loss_trend"]
    assert without.evidence["ratio"] < 0.9  # its weights are good: the base model knows these answers in part


@pytest.mark.slow
def test_noise_on_the_weights_has_a_kl_in_range_and_earns_nothing(real):
    generator = torch.Generator().manual_seed(0)
    noisy = {n: x + 0.2 * x.std() * torch.randn(x.shape, generator=generator) for n, x in real.reference.sft.items()}
    found = handed_back(real, PPOStage(), noisy)
    assert found["ppo_kl"].evidence["kl"] > 1.5 * BARS.ppo_kl.min
    assert not any(one.passed for one in found.values())
