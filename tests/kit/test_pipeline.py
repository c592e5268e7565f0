"""The pipeline: what it hands to the slots, when it looks them up, and what it says when one is not right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from rlhf_kit.models import Policy, RewardModelBase
from rlhf_kit.pipeline import MissingSlotError, RLHFPipeline
from solutions import p2_data, p3_sft, p4_reward_model, p6_ppo_training, p9_evaluation
from tests.support.few_rows import DEMONSTRATIONS, PAIRS, PROMPTS, count_tokens


@pytest.fixture
def slots() -> dict[str, Any]:
    parts = (p2_data, p3_sft, p4_reward_model, p6_ppo_training, p9_evaluation)
    return {name: value for part in parts for name, value in vars(part).items() if not name.startswith("_")}


@pytest.fixture
def pipeline(slots, profile, tokenizer) -> RLHFPipeline:
    return RLHFPipeline(slots, profile, tokenizer)


def test_the_three_phases_run_on_the_reference_slots_and_end_in_generated_text(pipeline, tiny_lm):
    lm, sft_losses = pipeline.run_sft(tiny_lm, DEMONSTRATIONS)
    model, rm_losses = pipeline.run_reward_model(lm, PAIRS)
    reward = pipeline.reward_function(model, lm, PROMPTS)
    policy, stats = pipeline.run_ppo(lm, reward, PROMPTS)
    assert (len(sft_losses), len(rm_losses), len(stats)) == (3, 3, 2)
    assert all(isinstance(text, str) for text in pipeline.generate(policy, PROMPTS[:2]))


def test_a_reward_is_normalised_on_replies_to_the_first_prompts(pipeline, tiny_lm):
    model, _ = pipeline.run_reward_model(tiny_lm, PAIRS)

    def normalised(n: int, prompts: list[Any]) -> tuple[float, float]:
        reward = pipeline.reward_function(model, tiny_lm, prompts, replace(pipeline.profile.ppo, calibration_prompts=n))
        return reward.mean, reward.std

    assert normalised(4, PROMPTS) == normalised(9, PROMPTS[:4])
    assert normalised(4, PROMPTS) != normalised(5, PROMPTS)


def test_comparison_returns_a_row_per_policy(pipeline, tiny_lm):
    policies = {"SFT": Policy(tiny_lm), "RLHF": Policy(tiny_lm)}
    rows = pipeline.compare(policies, PROMPTS, count_tokens)
    assert [row["name"] for row in rows] == ["SFT", "RLHF"]


def test_a_comparison_tells_how_many_replies_were_sampled(pipeline, tiny_lm):
    told: list[int] = []
    policies = {"SFT": Policy(tiny_lm), "RLHF": Policy(tiny_lm)}
    config = replace(pipeline.profile.evaluation, batch_size=4)
    rows = pipeline.compare(policies, PROMPTS, count_tokens, config, on_replies=told.append)
    assert told == [4, 2, 4, 2]
    assert rows == pipeline.compare(policies, PROMPTS, count_tokens, config)
    assert told == [4, 2, 4, 2], "told after the comparison was over"


def test_a_stage_trains_a_copy_and_leaves_the_given_model_alone(pipeline, tiny_lm):
    before = {name: x.clone() for name, x in tiny_lm.state_dict().items()}
    lm, _ = pipeline.run_sft(tiny_lm, DEMONSTRATIONS)
    assert all(torch.equal(before[name], x) for name, x in tiny_lm.state_dict().items())
    assert any(not torch.equal(before[name], x) for name, x in lm.state_dict().items())


def test_two_runs_of_a_stage_are_equal_whatever_the_random_state(pipeline, tiny_lm):
    _, first = pipeline.run_ppo(tiny_lm, count_tokens, PROMPTS)
    torch.rand(7)
    _, second = pipeline.run_ppo(tiny_lm, count_tokens, PROMPTS)
    assert [row["reward"] for row in first] == [row["reward"] for row in second]


def test_on_step_reaches_the_slot_and_is_called_once_per_step(pipeline, tiny_lm):
    seen: list[int] = []
    _, losses = pipeline.run_sft(tiny_lm, DEMONSTRATIONS, on_step=lambda step, loss: seen.append(step))
    assert seen == list(range(len(losses)))


def test_a_slot_redefined_after_the_pipeline_was_made_is_the_one_that_runs(pipeline, slots, tiny_lm):
    slots["train_sft"] = lambda model, batches, config, on_step: [float(config.learning_rate)]
    _, losses = pipeline.run_sft(tiny_lm, DEMONSTRATIONS, replace(pipeline.profile.sft, learning_rate=0.25))
    assert losses == [0.25]


def test_a_missing_slot_is_named_in_the_error(pipeline, slots, tiny_lm):
    del slots["train_reward_model"]
    with pytest.raises(MissingSlotError, match="`train_reward_model` is not defined: run the cell"):
        pipeline.run_reward_model(tiny_lm, PAIRS)


def test_a_slot_overwritten_by_data_is_explained(pipeline, slots, tiny_lm):
    slots["train_sft"] = [1.0, 2.0]
    with pytest.raises(MissingSlotError, match="`train_sft` is a list, not a function"):
        pipeline.run_sft(tiny_lm, DEMONSTRATIONS)


def test_an_unanswered_slot_keeps_its_own_error(pipeline, slots, tiny_lm):
    def train_sft(*_: object) -> list[float]:
        raise NotImplementedError("T05: the SFT training loop")

    slots["train_sft"] = train_sft
    with pytest.raises(NotImplementedError, match="T05"):
        pipeline.run_sft(tiny_lm, DEMONSTRATIONS)


@pytest.mark.parametrize(
    ("name", "wrong", "stage"),
    [
        ("format_example", lambda row: None, "run_sft"),
        ("encode_example", lambda *_: [1, 2], "run_sft"),
        ("train_sft", lambda *_: None, "run_sft"),
        ("split_preference", lambda *_: ("a", "b"), "run_reward_model"),
        ("train_ppo", lambda *_: None, "run_ppo"),
    ],
)
def test_a_wrong_return_type_is_named_with_the_expected_one(pipeline, slots, tiny_lm, name, wrong, stage):
    slots[name] = wrong
    arguments = {
        "run_sft": (tiny_lm, DEMONSTRATIONS),
        "run_reward_model": (tiny_lm, PAIRS),
        "run_ppo": (tiny_lm, None, PROMPTS),
    }
    with pytest.raises(TypeError, match=f"`{name}` must return"):
        getattr(pipeline, stage)(*arguments[stage])


def test_a_pair_is_prompt_reply_and_eos(pipeline, tokenizer):
    (pair,) = pipeline.encode_pairs(PAIRS[:1])
    assert pair["chosen"] == [*tokenizer.encode(PAIRS[0]["chosen"]), tokenizer.eos_token_id]
    assert pair["rejected"] == [*tokenizer.encode(PAIRS[0]["rejected"]), tokenizer.eos_token_id]


def test_both_sides_of_a_long_pair_lose_the_same_part_of_the_prompt(pipeline, tokenizer, profile):
    prompt = "\n\nHuman: " + "very " * 40 + "long?\n\nAssistant:"
    row = {"chosen": prompt + " Yes indeed.", "rejected": prompt + " No."}
    (pair,) = pipeline.encode_pairs([row], replace(profile.good_rm, max_length=60))
    chosen, rejected = tokenizer.decode(pair["chosen"]), tokenizer.decode(pair["rejected"])
    assert chosen.endswith("Assistant: Yes indeed.")
    assert rejected.endswith("Assistant: No.")
    assert chosen.removesuffix(" Yes indeed.") == rejected.removesuffix(" No.")
    assert len(pair["chosen"]) == 60


def test_pairs_without_a_shared_prompt_are_left_out_and_counted(pipeline):
    odd = {"chosen": "\n\nHuman: A?\n\nAssistant: x", "rejected": "\n\nHuman: B?\n\nAssistant: y"}
    with pytest.warns(UserWarning, match="1 of 3 pairs left out"):
        assert len(pipeline.encode_pairs([*PAIRS[:2], odd])) == 2


def test_encoded_rows_pass_through_without_any_slot(profile, tokenizer):
    bare = RLHFPipeline({}, profile, tokenizer)
    example, pair = {"input_ids": [5, 0], "labels": [-100, 0]}, {"chosen": [5, 6, 0], "rejected": [5, 0]}
    assert bare.encode_demonstrations([example]) == [example]
    assert bare.encode_pairs([pair]) == [pair]


def test_prompts_may_be_texts_rows_or_token_ids(pipeline, tokenizer):
    ids = tokenizer.encode(PROMPTS[0])
    assert pipeline.encode_prompts([PROMPTS[0], {"prompt": PROMPTS[0]}, ids]) == [ids, ids, ids]


def test_generation_is_decided_by_its_seed(pipeline, tiny_lm):
    first = pipeline.generate(tiny_lm, PROMPTS, seed=1)
    assert first == pipeline.generate(tiny_lm, PROMPTS, seed=1)
    assert first != pipeline.generate(tiny_lm, PROMPTS, seed=2)


@pytest.mark.parametrize(("text", "sentence"), [("", "prompt 2 of 2 is empty"), ("x" * 200, "200 tokens.*at most 160")])
def test_a_text_that_cannot_be_read_gets_a_sentence(pipeline, tiny_lm, text, sentence):
    for model in (tiny_lm, Policy(tiny_lm)):
        with pytest.raises(ValueError, match=sentence):
            pipeline.generate(model, [PROMPTS[0], text])


def test_the_reward_model_starts_from_the_sft_body(pipeline, slots, tiny_lm):
    slots["train_reward_model"] = lambda model, batches, config, on_step: []
    model, _ = pipeline.run_reward_model(tiny_lm, PAIRS)
    assert isinstance(model, RewardModelBase)
    assert torch.equal(model.transformer.wte.weight, tiny_lm.transformer.wte.weight)
