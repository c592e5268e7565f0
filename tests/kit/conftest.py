"""A tokenizer and models small enough that a whole pipeline runs in a second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import rlhf_kit as kit


class ByteTokenizer:
    """UTF-8 bytes moved up by two, so that 0 is EOS and 1 is padding, as in the lab's tokenizer."""

    eos_token_id, pad_token_id = 0, 1

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [byte + 2 for byte in text.encode()]

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": self.encode(text)}

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return bytes(i - 2 for i in ids if i > 1).decode(errors="replace")


@pytest.fixture
def tokenizer() -> ByteTokenizer:
    return ByteTokenizer()


@pytest.fixture
def tiny_lm() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=258,
        n_positions=160,
        n_embd=16,
        n_layer=1,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def profile() -> kit.Profile:
    """Make the tiny profile, with stages of a few steps."""
    tiny = kit.get_profile("tiny")
    return replace(
        tiny,
        sft=replace(tiny.sft, epochs=1, batch_size=2, max_length=100, warmup_steps=1),
        good_rm=replace(tiny.good_rm, epochs=1, batch_size=2, max_length=100, warmup_steps=1),
        ppo=replace(tiny.ppo, steps=2, rollouts=4, minibatch_size=2, ppo_epochs=1, max_new_tokens=5),
        evaluation=replace(tiny.evaluation, max_new_tokens=5, bootstrap=50),
    )
