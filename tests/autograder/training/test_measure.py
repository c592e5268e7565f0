"""Measurements of the grader agree with their definitions, computed token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rlhf_kit as kit
from autograder.reference.models import ArtefactError, load_reference
from autograder.training import measure
from tests.support.small_lab import write_artefacts

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
REPLIES = [[20, 21, 0], [22, 0], [23, 24, 25, 26]]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return load_reference(*write_artefacts(tmp_path_factory.mktemp("artefacts")))


def test_likelihood_is_the_sum_of_log_probabilities_of_the_reply(reference):
    lm = reference.language_model(reference.sft)
    found = measure.likelihood(lm, PROMPTS, REPLIES)
    for i, (prompt, reply) in enumerate(zip(PROMPTS, REPLIES, strict=True)):
        logits = lm(input_ids=torch.tensor([prompt + reply])).logits[0].double()
        total = entropy = variance = 0.0
        for t, token in enumerate(reply):
            logprobs = logits[len(prompt) - 1 + t].log_softmax(-1).detach().numpy()
            probability, mean = np.exp(logprobs), np.exp(logprobs) @ logprobs
            total += logprobs[token]
            entropy -= mean
            variance += probability @ (logprobs - mean) ** 2
        # The models compute in float32: rounding of a few 1e-7 in each of a thousand terms.
        assert found.total[i] == pytest.approx(total, rel=1e-5)
        assert found.entropy[i] == pytest.approx(entropy, rel=1e-5)
        assert found.variance[i] == pytest.approx(variance, rel=1e-3)
    assert found.tokens.tolist() == [3, 2, 4]


def peaked(reference, factor):
    """Return a model with less entropy than random weights have, whose predictions are almost uniform."""
    return reference.language_model({name: factor * x if "wte" in name else x for name, x in reference.sft.items()})


def test_samples_of_a_model_are_typical_of_it_and_others_are_not(reference):
    lm, other = peaked(reference, 8.0), peaked(reference, 7.0)
    prompts = PROMPTS * 60
    own = [measure.likelihood(lm, prompts, measure.sample_coupled(lm, prompts, 6, seed)) for seed in range(40)]
    z = np.array([one.typicality() for one in own])
    # Of 40 standard normal values: the mean is within 4 / √40, the standard deviation within 4 / √80 of 1.
    assert abs(z.mean()) < 0.63
    assert abs(z.std(ddof=1) - 1) < 0.45
    flatter = measure.likelihood(lm, prompts, measure.sample_coupled(other, prompts, 6, seed=1))
    assert flatter.typicality() > 6
    greedy = [[int(lm(input_ids=torch.tensor([p])).logits[0, -1].argmax())] for p in prompts]
    assert measure.likelihood(lm, prompts, greedy).typicality() < -6


def test_scores_of_the_trusted_reward_model_do_not_depend_on_padding(reference):
    model = reference.reward_model(reference.rm_good)
    rows = [p + r for p, r in zip(PROMPTS, REPLIES, strict=True)]
    one_by_one = np.array([measure.scores(model, [row])[0] for row in rows])
    left = model(*kit.pad_sequences(rows, kit.PAD_ID, side="left")).numpy()
    assert measure.scores(model, rows) == pytest.approx(one_by_one, rel=1e-5, abs=1e-7)
    assert left == pytest.approx(one_by_one, rel=1e-4, abs=1e-6)
    assert np.ptp(one_by_one) > 1e-4  # else the comparison says nothing


def test_pair_scores_equal_the_scores_of_the_sequences(reference):
    model = reference.reward_model(reference.rm_good)
    first = [[5, 6, 7, 20, 21, 0], [8, 22, 0], [9, 10, 11], [9, 10, 11, 12], [31, 0], [4, 4, 4, 33]]
    second = [[5, 6, 7, 23, 0], [8, 22, 24, 25, 26, 0], [9, 10, 11, 12, 13], [9, 10, 11, 12], [32, 0], [4, 33]]
    one_by_one = np.array([[measure.scores(model, [row])[0] for row in rows] for rows in (first, second)])
    # float32, summed in another order: some 1e-7 of scores of this size
    assert measure.pair_scores(model, first, second) == pytest.approx(one_by_one, rel=1e-4, abs=1e-6)
    assert np.ptp(one_by_one) > 1e-3


def test_eos_is_appended_once():
    assert measure.with_eos([1, 2], [3]) == [1, 2, 3, kit.EOS_ID]
    assert measure.with_eos([1, 2], [3, kit.EOS_ID]) == [1, 2, 3, kit.EOS_ID]


def test_equal_models_sample_equal_replies_and_other_seeds_other_replies(reference):
    prompts = PROMPTS * 5
    lm = reference.language_model(reference.sft)
    first = measure.sample_coupled(lm, prompts, 8, seed=1)
    assert first == measure.sample_coupled(reference.language_model(reference.sft), prompts, 8, seed=1)
    assert first != measure.sample_coupled(lm, prompts, 8, seed=2)
    assert len({tuple(reply) for reply in first}) > 10  # the noise differs between prompts


def test_coupled_samples_follow_the_distribution_of_the_model(reference):
    lm = reference.language_model(reference.sft)
    prompts = [[5, 6, 7]] * 4000
    with torch.no_grad():
        probability = lm(input_ids=torch.tensor([[5, 6, 7]])).logits[0, -1].softmax(-1).numpy()
    drawn = np.array([reply[0] for reply in measure.sample_coupled(lm, prompts, 1, seed=3)])
    likely = np.argsort(probability)[-200:]  # a group, because each token alone is rare
    share, expected = float(np.isin(drawn, likely).mean()), float(probability[likely].sum())
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 4000))


def test_similar_models_differ_less_with_coupled_than_with_independent_samples(reference):
    near = {name: x + 1e-3 * torch.randn_like(x) for name, x in reference.sft.items()}
    lm, other = reference.language_model(reference.sft), reference.language_model(near)
    prompts = [[7, 8, 9]] * 60
    base = measure.sample_coupled(lm, prompts, 4, seed=4)
    same = sum(a == b for a, b in zip(base, measure.sample_coupled(other, prompts, 4, seed=4), strict=True))
    apart = sum(a == b for a, b in zip(base, measure.sample_coupled(other, prompts, 4, seed=5), strict=True))
    assert same > 30 > apart


@pytest.mark.parametrize(("reply", "expected"), [([1, 2, 1, 2], 1 / 3), ([1], 0.0), ([1, 2, 3], 0.0), ([1] * 5, 0.75)])
def test_repetition_is_the_share_of_repeated_bigrams(reply, expected):
    assert measure.repetition(reply) == pytest.approx(expected)


def test_changed_artefact_is_refused(tmp_path):
    folder, base = write_artefacts(tmp_path)
    (folder / "reward.json").write_text('{"mean": 5, "std": 1}')
    with pytest.raises(ArtefactError, match=r"reward\.json is not the file"):
        load_reference(folder, base)


def test_error_about_missing_artefacts_says_how_to_make_them(tmp_path):
    with pytest.raises(ArtefactError, match=r"python -m assignment\.lab"):
        load_reference(tmp_path)
