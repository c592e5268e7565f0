"""Pre-training: a short run learns and is reproducible, and the shipped base model is that of its manifest."""

from __future__ import annotations

import hashlib
import json
from itertools import islice

import pytest
import torch

import rlhf_kit as kit
from assignment.lab.corpus import documents
from assignment.lab.pretrain import PretrainConfig, blocks, pretrain, train_tokenizer
from assignment.lab.prompts import draw_questions
from assignment.lab.world import Part, Partition, World
from rlhf_kit.models import BASE_MODEL

SHORT = PretrainConfig(steps=40, width=32, layers=2, heads=2, batch=8, warmup_steps=5, tokenizer_documents=1500)
MEGABYTE = 2**20


def test_short_pretraining_learns_and_is_reproducible() -> None:
    runs = [pretrain(World.from_seed(11), SHORT)[2] for _ in range(2)]
    assert runs[0] == runs[1]
    start, end = sum(runs[0][:5]) / 5, sum(runs[0][-5:]) / 5
    assert end < 0.85 * start, (start, end)


def test_eos_and_pad_are_different_tokens() -> None:
    tokenizer = train_tokenizer(World.from_seed(11), SHORT)
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (kit.EOS_ID, kit.PAD_ID)


def test_blocks_are_packed_documents_with_eos_and_without_padding() -> None:
    tokenizer = train_tokenizer(World.from_seed(11), SHORT)
    first = next(blocks(World.from_seed(11), tokenizer, SHORT))
    assert first.shape == (SHORT.batch, SHORT.block)
    assert (first == kit.EOS_ID).sum() > SHORT.batch
    assert (first != kit.PAD_ID).all()


def test_corpus_holds_no_heldout_question() -> None:
    world = World.from_seed(11)
    parts: tuple[Part, ...] = ("student", "grader")
    hidden = {
        one.prompt
        for part in parts
        for one in draw_questions(Partition(world, part, "heldout"), 2000, 1, multi_turn=0)
        if one.kind not in ("context", "unknown", "list")
    }
    text = "\n".join(islice(documents(world, 3), 20_000))
    instructions = [p.removeprefix("\n\nHuman: ").removesuffix("\n\nAssistant:") for p in hidden]
    assert len(instructions) > 500
    # Earlier turns of a dialogue are drawn from all facts: only the last question counts.
    asked = [i for i in instructions if f"Human: {i}\n\nAssistant: " in text and f"{i}\n\nAssistant: The" not in text]
    assert not asked, asked[:3]


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
    ids = next(blocks(World.from_seed(manifest["world"]), tokenizer, PretrainConfig(seed=99, batch=8)))
    with torch.no_grad():
        loss = model(input_ids=ids, labels=ids).loss.item()
    # The loss on fresh documents of the same world is close to that at the end of training.
    assert loss < 1.25 * manifest["loss"]["last_50"]
