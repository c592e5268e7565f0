"""The grader's reference artefacts: complete, of the shipped world, and ordered by gold reward as the notebook says."""

from __future__ import annotations

import gzip
import hashlib
import json
from statistics import mean
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

import rlhf_kit as kit
from assignment.lab.folders import REFERENCE
from assignment.lab.outcomes import paired
from assignment.lab.ship import GRADER_POOL
from rlhf_kit.data import DATA, load_prompts
from rlhf_kit.gold import GoldReward
from rlhf_kit.models import BASE_MODEL
from rlhf_kit.recorded import RECORDED
from solutions.p9_evaluation import mean_log_ratio

if TYPE_CHECKING:
    from pathlib import Path


def test_base_model_data_and_reference_are_of_one_world() -> None:
    worlds = {
        json.loads((folder / "manifest.json").read_text())["world"]
        for folder in (BASE_MODEL, DATA, REFERENCE, RECORDED)
    }
    assert len(worlds) == 1


@pytest.mark.parametrize("folder", [DATA, REFERENCE, RECORDED], ids=lambda folder: folder.name)
def test_files_are_those_of_the_manifest(folder: Path) -> None:
    listed = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert {path.name for path in folder.iterdir()} == {*listed, "manifest.json"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_the_recorded_run_shows_what_the_notebook_says_of_it() -> None:
    """Each reward rises under its own judge, gold rises with the good one and falls with the poor one."""
    run = kit.load_recorded_run()
    assert list(run["ppo"]) == ["Poor-RM policy", "Good-RM policy"]
    for steps in run["ppo"].values():
        assert len(steps) == kit.get_profile().ppo.steps
        assert mean(row["reward"] for row in steps[-5:]) > mean(row["reward"] for row in steps[:5]) + 0.5
    rows = {row["name"]: row for row in run["comparison"]}
    assert list(rows) == ["Base", "SFT", "Poor-RM policy", "Good-RM policy"]
    assert rows["Good-RM policy"]["reward_low"] > rows["SFT"]["reward_high"]
    assert rows["Poor-RM policy"]["reward_high"] < rows["SFT"]["reward_low"]
    for row in rows.values():
        assert row["reward_low"] < row["mean_reward"] < row["reward_high"]


def test_the_recorded_replies_answer_held_out_prompts_of_each_kind() -> None:
    run = kit.load_recorded_run()
    assert run["prompts"] == kit.one_of_each_kind(list(load_prompts("heldout")))
    assert list(run["replies"]) == [row["name"] for row in run["comparison"]]
    assert {len(replies) for replies in run["replies"].values()} == {len(run["prompts"])}


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_pool_of_sampled_replies_holds_no_question_of_the_students(split: str) -> None:
    with gzip.open(REFERENCE / f"replies_{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) > GRADER_POOL[split]  # type: ignore[index]
    asked = {r["ask"]["instruction"] for r in rows if r["ask"]["kind"] not in ("context", "unknown", "list")}
    mine = {r["prompt"].rpartition("\n\nHuman: ")[2].split("\n\n")[0] for r in load_prompts("train")}
    assert len(asked) > 500
    assert not asked & mine


@pytest.mark.slow
def test_reference_policies_are_ordered_by_gold_reward_and_the_poor_one_writes_longer_replies() -> None:
    base, tokenizer = kit.load_base_model(), kit.load_tokenizer()
    records = list(load_prompts("heldout"))
    prompts = [tokenizer(r["prompt"])["input_ids"] for r in records]
    gold, models, replies = GoldReward(records, tokenizer), {"base": base}, {}
    for name in ("sft", "policy_good", "policy_poor"):
        models[name] = kit.trainable_copy(base)
        weights = {k: v.float() for k, v in load_file(REFERENCE / f"{name}.safetensors").items()}
        models[name].load_state_dict(weights, strict=False)
    for name, lm in models.items():
        replies[name] = kit.sample(lm, prompts, 48, generator=torch.Generator().manual_seed(5))
    worth = {name: gold(prompts, r).numpy() for name, r in replies.items()}
    for better, worse in (("sft", "base"), ("policy_good", "sft"), ("policy_good", "policy_poor")):
        assert paired(worth[better], worth[worse], 1)["p"] < 0.01, (better, worse)
    assert worth["policy_good"].mean() - worth["policy_poor"].mean() > 1.0
    recorded = {row["name"]: row["mean_reward"] for row in kit.load_recorded_run()["comparison"]}
    for name, shown in zip(models, ("Base", "SFT", "Good-RM policy", "Poor-RM policy"), strict=True):
        # two samples of the same models: four standard errors of their difference
        assert abs(worth[name].mean() - recorded[shown]) < 4 * worth[name].std() * (2 / len(records)) ** 0.5, name
    length = {name: sum(map(len, r)) / len(r) for name, r in replies.items()}
    assert length["policy_poor"] > 1.3 * length["sft"]  # flattery takes room
    assert 0.5 < mean_log_ratio(models["policy_good"], models["sft"], prompts, replies["policy_good"], 100) < 10
