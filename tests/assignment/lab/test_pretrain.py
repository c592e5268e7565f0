"""Pre-training: a short run learns and is reproducible, and the shipped base model is that of its manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import islice

import pytest
import torch
from transformers import PreTrainedTokenizerFast

import rlhf_kit as kit
from assignment.lab.corpus import documents
from assignment.lab.pretrain import PretrainConfig, batches, mean_loss, new_model, pretrain, train_tokenizer
from assignment.lab.world import World
from rlhf_kit.models import BASE_MODEL

SHORT = PretrainConfig(
    steps=40, full_steps=30, width=32, layers=2, heads=2, batch_tokens=1024, warmup_steps=5, tokenizer_documents=1500
)
MEGABYTE = 2**20
WORLD = World.from_seed(11)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(WORLD, SHORT)


def test_short_pretraining_learns_and_is_reproducible() -> None:
    runs = [pretrain(WORLD, SHORT)[2] for _ in range(2)]
    assert runs[0] == runs[1]
    start, end = sum(runs[0][:5]) / 5, sum(runs[0][-5:]) / 5
    assert end < 0.85 * start, (start, end)


def test_eos_and_pad_are_different_tokens(tokenizer) -> None:
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (kit.EOS_ID, kit.PAD_ID)


def test_first_batches_are_full_rows_and_later_ones_hold_a_document_a_row(tokenizer) -> None:
    """Every document of the corpus is read once, in order; the last one of a full row is cut."""
    told = iter([*tokenizer(text)["input_ids"], kit.EOS_ID] for text in documents(WORLD, SHORT.seed + 1))
    config = replace(SHORT, full_steps=3)
    for step, batch in enumerate(islice(batches(WORLD, tokenizer, config), 6)):
        assert sum(map(len, batch[:-1])) < config.batch_tokens <= sum(map(len, batch))
        for row in batch:
            if step >= config.full_steps:
                assert row == next(told)[: config.positions]
                continue
            together: list[int] = []
            while len(together) < config.positions:
                together += next(told)
            assert row == together[: config.positions]


def test_no_row_sees_another_one(tokenizer) -> None:
    model = new_model(tokenizer, SHORT).double()
    few = next(batches(WORLD, tokenizer, replace(SHORT, full_steps=0)))[:7]
    tokens = [len(row) - 1 for row in few]  # the first one is not predicted
    each = [mean_loss(model, [row]).item() for row in few]
    together = sum(n * loss for n, loss in zip(tokens, each, strict=True)) / sum(tokens)
    # float64 rounding of a mean over some hundred tokens
    assert mean_loss(model, few).item() == pytest.approx(together, rel=1e-12)


@pytest.mark.skipif(not BASE_MODEL.exists(), reason="the base model is not built yet")
def test_shipped_base_model_is_that_of_its_manifest() -> None:
    manifest = json.loads((BASE_MODEL / "manifest.json").read_text())
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((BASE_MODEL / name).read_bytes()).hexdigest() == digest, name
    assert sum(p.stat().st_size for p in BASE_MODEL.glob("*.safetensors")) <= 8 * MEGABYTE
    assert manifest["loss"]["last_50"] < 0.2 * manifest["loss"]["first"]


@pytest.mark.skipif(not BASE_MODEL.exists(), reason="the base model is not built yet")
def test_shipped_base_model_predicts_documents_of_its_world() -> None:
    manifest = json.loads((BASE_MODEL / "manifest.json").read_text())
    tokenizer, model = kit.load_tokenizer(), kit.load_base_model()
    batch = next(batches(World.from_seed(manifest["world"]), tokenizer, PretrainConfig(seed=99, full_steps=0)))
    with torch.no_grad():
        loss = mean_loss(model, batch).item()
    # The loss on fresh documents of the same world is close to that at the end of training.
    assert loss < 1.25 * manifest["loss"]["last_50"]
