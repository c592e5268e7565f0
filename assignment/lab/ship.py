"""Write the kit's data, which ship to students, and the grader's reference artefacts, which never ship."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

import rlhf_kit as kit
from rlhf_kit.data import DATA
from rlhf_kit.models import BASE_MODEL

from .experiment import draw_data, lab_pipeline
from .folders import REFERENCE, replaced, write_manifest
from .onpolicy import pool_questions, sample_replies
from .study import Study, train_watched
from .world import Partition, Split, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from transformers import GPT2LMHeadModel

STUDENT_SEED = 3  # of the data that students receive; the grader draws from other partitions
# How many on-policy pairs a grading run can choose from.
GRADER_POOL: dict[Split, int] = {"train": 3600, "heldout": 3200}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write compressed JSON lines. The same rows give the same bytes: the header has no time stamp."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def student_data(world: World, folder: Path = DATA, base: Path = BASE_MODEL) -> Study:
    """Draw and write the kit's data. Returns them in a study that has trained the SFT model, from which the on-policy
    pairs come, and no reward model yet."""
    profile, tokenizer = kit.get_profile(), kit.load_tokenizer(base)
    pipeline, lm, losses = lab_pipeline(profile, tokenizer), kit.load_base_model(base), list[float]()

    def sft(rows: list[dict[str, str]]) -> GPT2LMHeadModel:
        model, steps = pipeline.run_sft(lm, rows)
        losses.extend(steps)
        return model

    data, sft_lm = draw_data(world, STUDENT_SEED, sft, tokenizer, profile.poor_pairs)
    with replaced(folder) as fresh:
        write_rows(fresh / "demonstrations.jsonl.gz", data.demonstrations)
        for name, pairs in (("train", data.train), ("heldout", data.heldout), ("poor", data.poor)):
            write_rows(fresh / f"preferences_{name}.jsonl.gz", (pair.row for pair in pairs))
        write_rows(fresh / "prompts_train.jsonl.gz", data.prompts)
        write_rows(fresh / "prompts_heldout.jsonl.gz", data.heldout_prompts)
        write_manifest(fresh, world=world.seed, seed=STUDENT_SEED)
    return Study(STUDENT_SEED, world, pipeline, data, lm, sft_lm, losses, judged={}, seconds={})


def grader_reference(begun: Study, folder: Path = REFERENCE) -> Study:
    """Train the later stages with the reference solution, and write what the grader starts its training tests from.
    Returns the whole study."""
    pipeline, data, profile = begun.pipeline, begun.data, begun.pipeline.profile
    good = train_watched(pipeline, begun.sft, data.train, profile.good_rm, data.prompts)
    poor = train_watched(pipeline, begun.sft, data.poor, profile.poor_rm, data.prompts)
    modules = {
        "sft": begun.sft,
        "rm_good": good.reward.model,
        "policy_good": good.policy.lm,
        "policy_poor": poor.policy.lm,
    }
    with replaced(folder) as fresh:
        for name, module in modules.items():
            _save_half(module, fresh / f"{name}.safetensors")
        (fresh / "reward.json").write_text(json.dumps({"mean": good.reward.mean, "std": good.reward.std}) + "\n")
        for split, pairs in GRADER_POOL.items():
            questions = pool_questions(Partition(begun.world, "grader", split), pairs, "grader")
            replies = sample_replies(begun.sft, pipeline.tokenizer, questions, seed=1, per_question=2)
            rows = ({"ask": asdict(q), "replies": r} for q, r in zip(questions, replies, strict=True))
            write_rows(fresh / f"replies_{split}.jsonl.gz", rows)
        write_manifest(fresh, world=begun.world.seed, seed=STUDENT_SEED)
    return replace(begun, judged={"Good RM": good, "Poor RM": poor})


def _save_half(module: nn.Module, path: Path) -> None:
    """Write weights as float16, without the tied output embedding: half the size, with rounding far below noise."""
    state = {
        k: v.detach().to("cpu", torch.float16).contiguous()
        for k, v in module.state_dict().items()
        if k != "lm_head.weight"
    }
    save_file(state, path)
