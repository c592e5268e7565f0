"""The shipped data: schemas of the public data sets, sizes, prompts that the gold reward knows, no overlap.

Where real HH-RLHF and Dolly rows lie beside the checkout they go through the same code; the project never needs them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import rlhf_kit as kit
from assignment.lab.experiment import reference_slots
from rlhf_kit.data import DATA, load_demonstrations, load_preferences, load_prompts
from rlhf_kit.gold import GoldReward
from rlhf_kit.pipeline import RLHFPipeline

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.exists(), reason="no real data sets beside this checkout")
TURN = "\n\nAssistant:"


def real_rows(name: str, n: int) -> list[dict[str, Any]]:
    """Read the first n rows of a real data set."""
    with gzip.open(REAL / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(n), strict=False)]


def pipeline() -> RLHFPipeline:
    """Make the kit's pipeline with the reference slots."""
    return RLHFPipeline(reference_slots(), kit.get_profile(), kit.load_tokenizer())


def test_demonstrations_have_dollys_columns_and_some_a_context() -> None:
    data = load_demonstrations()
    assert set(data.column_names) == {"instruction", "context", "response", "category"}
    assert len(data) >= 1000
    assert 0 < sum(bool(c) for c in data["context"]) < len(data)


@pytest.mark.parametrize(("split", "least"), [("train", 5000), ("heldout", 1500), ("poor", 250)])
def test_preferences_are_dialogues_that_share_their_prompt(split: Any, least: int) -> None:
    data = load_preferences(split)
    assert set(data.column_names) == {"chosen", "rejected"}
    assert len(data) >= least
    for row in data:
        chosen, rejected = (row[name].rpartition(TURN) for name in ("chosen", "rejected"))
        assert chosen[:2] == rejected[:2]
        assert chosen[0].startswith("\n\nHuman: ")
        assert chosen[2] != rejected[2]
    assert sum(row["chosen"].count(TURN) > 1 for row in data) > 0.05 * len(data)  # some multi-turn


def test_prompts_are_many_distinct_and_split() -> None:
    train, heldout = ({r["prompt"] for r in load_prompts(split)} for split in ("train", "heldout"))
    assert len(train) >= 500
    assert len(heldout) >= 300
    assert not train & heldout
    assert all(p.endswith(TURN) for p in train | heldout)


def test_the_gold_reward_knows_every_prompt() -> None:
    tokenizer = kit.load_tokenizer()
    records = list(load_prompts("heldout"))
    ids = [tokenizer(r["prompt"])["input_ids"] for r in records]
    admits = tokenizer(" I do not know it.")["input_ids"] + [kit.EOS_ID]
    rewards = GoldReward(records, tokenizer)(ids, [admits] * len(ids))
    for record, reward in zip(records, rewards.tolist(), strict=True):
        assert (reward > 2) == (record["kind"] == "unknown"), record


def test_files_are_those_of_the_manifest() -> None:
    listed = json.loads((DATA / "manifest.json").read_text())["sha256"]
    assert set(listed) == {p.name for p in DATA.glob("*.jsonl.gz")}
    for name, digest in listed.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest


def test_a_missing_split_is_named_with_what_there_is() -> None:
    with pytest.raises(FileNotFoundError, match="demonstrations"):
        load_preferences("nowhere")  # type: ignore[arg-type]


def test_all_shipped_rows_pass_through_the_pipeline_untruncated() -> None:
    run = pipeline()
    encoded = run.encode_demonstrations(load_demonstrations())
    pairs = run.encode_pairs(load_preferences("heldout"))
    assert len(encoded) == len(load_demonstrations())
    assert len(pairs) == len(load_preferences("heldout"))
    assert all(row["input_ids"][-1] == kit.EOS_ID for row in encoded)
    assert all(pair["chosen"] != pair["rejected"] for pair in pairs)
    assert max(len(row["input_ids"]) for row in encoded) < kit.get_profile().sft.max_length


@needs_real_data
def test_real_dolly_rows_are_encoded_within_the_length() -> None:
    rows = real_rows("dolly/dolly-6k.jsonl.gz", 200)
    limit = kit.get_profile().sft.max_length
    for row in pipeline().encode_demonstrations(rows):
        assert len(row["input_ids"]) == len(row["labels"]) <= limit
        assert any(label != kit.IGNORE_INDEX for label in row["labels"])


@needs_real_data
@pytest.mark.parametrize("name", ["harmless-base", "helpful-online", "helpful-rejection-sampled"])
def test_real_hh_pairs_are_split_or_left_out(name: str) -> None:
    rows = real_rows(f"hh_rlhf/{name}-test.jsonl.gz", 300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few real pairs share no prompt; the pipeline counts them in a warning
        pairs = pipeline().encode_pairs(rows)
    assert len(pairs) > 0.95 * len(rows)
    limit = kit.get_profile().good_rm.max_length
    assert all(max(len(p["chosen"]), len(p["rejected"])) <= limit for p in pairs)
