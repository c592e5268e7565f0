"""The kit's core: padding, positions, sampling, scoring and configs, on a random model of the lab's architecture."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from rlhf_kit.packed import PackedGPT2LMHeadModel
from rlhf_kit.table_models import BigramLM

VOCAB, WIDTH = 41, 16
PROMPTS = [[5, 9, 3], [7], [11, 4, 8, 2, 6], [13, 10]]


@pytest.fixture(scope="module")
def lm() -> GPT2LMHeadModel:
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=VOCAB,
        n_positions=40,
        n_embd=WIDTH,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        bos_token_id=kit.EOS_ID,
        eos_token_id=kit.EOS_ID,
        pad_token_id=kit.PAD_ID,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    return GPT2LMHeadModel(config).eval()


def stepwise_greedy(lm: GPT2LMHeadModel, prompt: list[int], n: int) -> list[int]:
    """Decode greedily, one sequence at a time, without cache or padding."""
    reply: list[int] = []
    while len(reply) < n and (not reply or reply[-1] != kit.EOS_ID):
        with torch.no_grad():
            reply.append(int(lm(input_ids=torch.tensor([prompt + reply])).logits[0, -1].argmax()))
    return reply


def test_padding_keeps_rows_and_marks_them() -> None:
    for side in ("left", "right"):
        ids, mask = kit.pad_sequences(PROMPTS, kit.PAD_ID, side)
        assert [row[m.bool()].tolist() for row, m in zip(ids, mask, strict=True)] == PROMPTS
    assert mask[1].tolist() == [1, 0, 0, 0, 0]


def test_positions_start_at_the_first_real_token() -> None:
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]])
    assert kit.position_ids(mask).tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 2, 2]]


def test_batched_greedy_replies_equal_decoding_one_by_one(lm: GPT2LMHeadModel) -> None:
    expected = [stepwise_greedy(lm, p, 12) for p in PROMPTS]
    assert kit.sample(lm, PROMPTS, 12, greedy=True) == expected
    assert kit.sample(lm, PROMPTS, 12, greedy=True, batch_size=2) == expected


def test_sampling_draws_from_the_scored_distribution(lm: GPT2LMHeadModel) -> None:
    with torch.no_grad():
        exact = lm(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(-1)
    n = 4000
    first = [
        r[0] for r in kit.sample(lm, [PROMPTS[0]] * n, 1, generator=torch.Generator().manual_seed(1), batch_size=n)
    ]
    counts = torch.bincount(torch.tensor(first), minlength=VOCAB)
    # χ² with 40 degrees of freedom: 99.99% quantile is 85.7 (bins below 5 expected are merged into one)
    big = exact * n >= 5
    observed = torch.cat([counts[big], counts[~big].sum()[None]]).double()
    wanted = torch.cat([exact[big], exact[~big].sum()[None]]).double() * n
    assert float(((observed - wanted) ** 2 / wanted.clamp(min=1)).sum()) < 85.7


def test_sampling_is_reproducible_and_leaves_the_mode_as_it_was(lm: GPT2LMHeadModel) -> None:
    lm.train()
    draws = [kit.sample(lm, PROMPTS, 9, generator=torch.Generator().manual_seed(7)) for _ in range(2)]
    assert lm.training
    lm.eval()
    assert draws[0] == draws[1]
    assert draws[0] != kit.sample(lm, PROMPTS, 9, generator=torch.Generator().manual_seed(8))


def test_random_numbers_are_drawn_in_the_order_of_the_release() -> None:
    """The tokens were recorded on 2026-11-29. A draw more, fewer or in another order changes every figure."""
    table = (torch.arange(49.0).reshape(7, 7) * 1.7).sin() * 2
    table[:, kit.PAD_ID] = -9.0
    prompts = [[2], [3, 4], [5, 6, 2], [6]]
    drawn = [
        kit.sample(BigramLM(table), prompts, 8, generator=torch.Generator().manual_seed(11), batch_size=size)
        for size in (128, 3)
    ]
    assert drawn[0] == [[2, 5, 2, 2, 5, 3, 6, 3], [3, 6, 3, 6, 3, 2, 6, 4], [6, 3, 6, 0], [0]]
    assert drawn[1] == [[2, 2, 5, 6, 0], [3, 5, 2, 2, 5, 3, 6, 3], [6, 3, 5, 6, 3, 2, 6, 4], [3, 6, 3, 6, 0]]


def test_a_reply_ends_at_its_first_end_token_or_at_the_limit(lm: GPT2LMHeadModel) -> None:
    for reply in kit.sample(lm, PROMPTS * 40, 15, generator=torch.Generator().manual_seed(2)):
        assert len(reply) == 15 or reply[-1] == kit.EOS_ID
        assert kit.EOS_ID not in reply[:-1]


@pytest.mark.parametrize(
    ("prompts", "sentence"),
    [
        ([[5], []], "prompt 2 of 2 is empty.*leave it out"),
        ([[]], "prompt 1 of 1 is empty"),
        ([[5], [7] * 41, [4]], "prompt 2 of 3 has 41 tokens.*at most 40.*shorten the prompt"),
        ([[5], [7] * 35], "have filled the 40 tokens.*fewer than 12 new tokens"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 128])
def test_a_prompt_that_cannot_be_read_gets_a_sentence(lm: GPT2LMHeadModel, prompts, sentence, batch_size) -> None:
    never = copy.deepcopy(lm)  # no reply ends, so that a long prompt runs out of room
    with torch.no_grad():
        never.transformer.wte.weight[kit.EOS_ID] = 0.0
        never.transformer.ln_f.bias.copy_(never.transformer.wte.weight[5] * 50)
    packed = PackedGPT2LMHeadModel(never.config).eval()
    packed.load_state_dict(never.state_dict())
    for model in (never, packed):
        with pytest.raises(ValueError, match=sentence):
            kit.sample(model, prompts, 12, greedy=True, batch_size=batch_size)


def test_a_prompt_and_a_reply_that_just_fit_are_read(lm: GPT2LMHeadModel) -> None:
    assert len(kit.sample(lm, [[7] * 40], 1, greedy=True)[0]) == 1
    assert kit.sample(lm, [], 3) == []


def test_a_long_sequence_gets_a_sentence_from_every_model_of_the_kit(lm: GPT2LMHeadModel) -> None:
    packed = PackedGPT2LMHeadModel(lm.config).eval()
    ids, mask = kit.pad_sequences([[7] * 41, [5]], kit.PAD_ID)
    for read in (packed, kit.Policy(packed)):
        with pytest.raises(ValueError, match=r"41 tokens.*at most 40"):
            read(input_ids=ids, attention_mask=mask)
    left, shown = kit.pad_sequences([[7] * 41], kit.PAD_ID, "left")
    shown[0, 0] = 0  # 41 columns with 40 tokens in them can be read
    packed(input_ids=left, attention_mask=shown, position_ids=kit.position_ids(shown))


def test_a_rollout_marks_exactly_the_reply(lm: GPT2LMHeadModel) -> None:
    rollout = kit.rollout(lm, PROMPTS, 6, torch.Generator().manual_seed(4))
    for i, (prompt, reply) in enumerate(zip(rollout.prompt_ids, rollout.response_ids, strict=True)):
        assert rollout.input_ids[i][rollout.response_mask[i].bool()].tolist() == reply
        assert rollout.input_ids[i][rollout.attention_mask[i].bool()].tolist() == prompt + reply


def test_a_policy_is_a_copy_with_zero_values(lm: GPT2LMHeadModel) -> None:
    policy = kit.Policy(lm)
    ids, mask = kit.pad_sequences(PROMPTS, kit.PAD_ID)
    logits, values = policy(ids, mask)
    assert values.shape == ids.shape
    assert not values.any()
    expected = lm(input_ids=ids, attention_mask=mask).logits
    # both are the same float32 sums, so any difference is rounding
    assert torch.allclose(logits[mask.bool()], expected[mask.bool()], atol=1e-5 * expected.abs().max().item())
    shared = {p.data_ptr() for p in policy.parameters()} & {p.data_ptr() for p in lm.parameters()}
    assert not shared
    assert all(p.requires_grad for p in policy.parameters())


class LengthScore(torch.nn.Module):
    """A reward model that counts attended tokens, and sees whether the last one is EOS."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        lengths = attention_mask.sum(1)
        last = input_ids[torch.arange(len(input_ids)), lengths - 1]
        return lengths.float() + 100.0 * (last == kit.EOS_ID)


def test_scoring_appends_a_missing_end_and_keeps_the_order() -> None:
    replies = [[4, 5, kit.EOS_ID], [6], [7, 8, 9, 12], [kit.EOS_ID]]
    scores = kit.score_sequences(LengthScore(), PROMPTS, replies, batch_size=2)
    assert scores.tolist() == [106.0, 103.0, 110.0, 103.0]


def test_the_reward_function_is_normalised_frozen_and_penalises_a_missing_eos() -> None:
    replies = [[4, 5, kit.EOS_ID], [6, kit.EOS_ID], [7, 8, 9, 12, kit.EOS_ID], [kit.EOS_ID]]
    reward = kit.RewardFunction.calibrated(LengthScore(), PROMPTS, replies, missing_eos_penalty=1.75)
    normal = reward(PROMPTS, replies)
    assert abs(float(normal.mean())) < 1e-5
    assert abs(float(normal.std()) - 1) < 1e-5
    endless = reward(PROMPTS[:1], [[4, 5]])
    assert float(endless) == pytest.approx(float(normal[0]) - 1.75, abs=1e-5)
    assert not any(p.requires_grad for p in reward.model.parameters())


def test_equal_scores_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="same score"):
        kit.RewardFunction.calibrated(LengthScore(), [[3]] * 3, [[5, 0]] * 3, 1.0)


def test_warm_up_rises_to_one() -> None:
    assert [kit.warmup_factor(k, 4) for k in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert kit.warmup_factor(0, 0) == 1.0


def test_configs_are_frozen_and_unknown_profiles_are_named() -> None:
    profile = kit.get_profile()
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.sft.learning_rate = 1.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="tiny"):
        kit.get_profile("huge")


def test_batches_hold_every_row_once_and_repeat_in_the_same_order() -> None:
    config = dataclasses.replace(kit.get_profile().sft, batch_size=3, seed=6)
    rows = [{"input_ids": [i + 2] * (i % 5 + 1), "labels": [-100] * (i % 5) + [i + 2]} for i in range(20)]
    batches = kit.sft_batches(rows, config, kit.PAD_ID)
    seen = sorted(int(row[0]) for b in batches for row in b["input_ids"])
    assert seen == [i + 2 for i in range(20)]
    again = kit.sft_batches(rows, config, kit.PAD_ID)
    assert all(torch.equal(a["input_ids"], b["input_ids"]) for a, b in zip(batches, again, strict=True))
    padded = [b["labels"][b["attention_mask"] == 0] for b in batches]
    assert all((p == kit.IGNORE_INDEX).all() for p in padded)
