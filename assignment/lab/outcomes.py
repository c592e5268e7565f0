"""Measure what the whole pipeline achieves on a world, seed by seed: the numbers behind the notebook's claims.

`python -m assignment.lab outcomes --seeds 1 2 3` appends one JSON line a seed, and skips seeds that have one.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import rlhf_kit as kit
from assignment.files import ForeignFileError
from rlhf_kit.gold import GoldReward
from rlhf_kit.models import position_ids

from .experiment import Data, draw_data, lab_pipeline, train_policy, with_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from transformers import GPT2LMHeadModel

    from rlhf_kit.pipeline import RLHFPipeline

    from .draw import Pair
    from .world import World

BOOTSTRAP = 10_000


def outcome(world: World, seed: int, base_folder: Path) -> dict[str, Any]:
    """Run the pipeline for one seed and return its row (gold in gold-reward units, KL in nats per sequence)."""
    profile, tokenizer = with_seeds(kit.get_profile(), seed), kit.load_tokenizer(base_folder)
    pipeline, base = (lab_pipeline(profile, tokenizer), kit.load_base_model(base_folder).to(torch.device("cpu")))
    clock = {"start": time.time()}
    data, sft = draw_data(world, seed, lambda rows: pipeline.run_sft(base, rows)[0], tokenizer, profile.poor_pairs)
    clock["sft_and_data"] = time.time()
    good, good_policy, good_stats = train_policy(pipeline, sft, data.train, profile.good_rm, data.prompts)
    clock["good"] = time.time()
    poor, poor_policy, poor_stats = train_policy(pipeline, sft, data.poor, profile.poor_rm, data.prompts)
    clock["poor"] = time.time()
    models = {"Base": base, "SFT": sft, "Poor-RM policy": poor_policy.lm, "Good-RM policy": good_policy.lm}
    gold, replies = sample_and_score(models, data, pipeline, seed)
    prompts = pipeline.encode_prompts(data.heldout_prompts)
    row: dict[str, Any] = {"world": world.seed, "seed": seed, "prompts": len(prompts)}
    row["threads"] = torch.get_num_threads()
    row["gold"] = {name: round(float(g.mean()), 3) for name, g in gold.items()}
    for better, worse in (("SFT", "Base"), ("Good-RM policy", "SFT"), ("Good-RM policy", "Poor-RM policy")):
        row[f"{better} > {worse}"] = paired(gold[better], gold[worse], seed)
    for name, reward in (("good", good), ("poor", poor)):
        policy = f"{name.capitalize()}-RM policy"
        row[f"{name}_rm_accuracy"] = round(accuracy(reward.model, data.heldout, pipeline), 4)
        row[f"{name}_proxy"] = [round(float(reward(prompts, replies[n]).mean()), 3) for n in ("SFT", policy)]
        row[f"{name}_kl"] = round(float(kl(models[policy], sft, prompts, replies[policy]).mean()), 3)
    row["tokens"] = {n: round(float(np.mean([len(r) for r in rs])), 1) for n, rs in replies.items()}
    times = list(clock.values())
    row["seconds"] = {n: round(b - a, 1) for n, a, b in zip(list(clock)[1:], times, times[1:], strict=False)}
    row["by_kind"] = by_kind(gold, data)
    row["samples"] = samples(replies, data, tokenizer)
    row["kl_curve"] = ([round(s["kl"], 2) for s in good_stats[::5]], [round(s["kl"], 2) for s in poor_stats[::5]])
    return row


def sample_and_score(
    models: Mapping[str, GPT2LMHeadModel], data: Data, pipeline: RLHFPipeline, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, list[list[int]]]]:
    """Sample every model's replies to the held-out prompts from the same random state. Returns (gold, replies): gold
    rewards (N,) and token ids by model."""
    gold_fn = GoldReward(data.heldout_prompts, pipeline.tokenizer)
    prompts = pipeline.encode_prompts(data.heldout_prompts)
    replies = {}
    for name, lm in models.items():
        generator = torch.Generator(device=lm.device).manual_seed(seed)
        replies[name] = kit.sample(lm, prompts, pipeline.profile.ppo.max_new_tokens, generator=generator)
    return {name: gold_fn(prompts, r).numpy() for name, r in replies.items()}, replies


def paired(better: np.ndarray, worse: np.ndarray, seed: int) -> dict[str, float]:
    """Return the mean paired difference (gap), and the share p of bootstrap resamples of the prompts with a mean ≤
    0."""
    diff, rng = better - worse, np.random.default_rng(seed)
    draws = diff[rng.integers(0, len(diff), (BOOTSTRAP, len(diff)))].mean(1)
    return {"gap": round(float(diff.mean()), 3), "p": float((draws <= 0).mean())}


def accuracy(model: torch.nn.Module, pairs: list[Pair], pipeline: RLHFPipeline) -> float:
    """Return the share of held-out pairs, with their noisy labels, that are ranked right; a tie counts one half."""
    encoded = pipeline.encode_pairs([p.row for p in pairs])

    def score(side: str) -> torch.Tensor:
        return kit.score_sequences(model, [p[side][:-1] for p in encoded], [p[side][-1:] for p in encoded])

    gap = score("chosen") - score("rejected")
    return float((gap > 0).double().mean() + 0.5 * (gap == 0).double().mean())


@torch.no_grad()
def kl(
    policy: GPT2LMHeadModel, reference: GPT2LMHeadModel, prompts: list[list[int]], replies: list[list[int]]
) -> torch.Tensor:
    """Return the k1 estimate of each reply: Σ log π − log π_ref over its tokens, nats, (N,)."""
    out = []
    for start in range(0, len(prompts), 100):
        batch = kit.lay_out(prompts[start : start + 100], replies[start : start + 100], policy.device)
        gaps = []
        for lm in (policy, reference):
            logits = lm(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                position_ids=position_ids(batch.attention_mask),
            ).logits[:, :-1]
            gaps.append(logits.log_softmax(-1).gather(-1, batch.input_ids[:, 1:, None]).squeeze(-1))
        out.append(((gaps[0] - gaps[1]) * batch.response_mask[:, 1:]).sum(-1).cpu())
    return torch.cat(out)


def by_kind(gold: Mapping[str, np.ndarray], data: Data) -> dict[str, dict[str, float]]:
    """Return every model's mean gold reward for each kind of prompt."""
    kinds = np.array([str(r["kind"]) for r in data.heldout_prompts])
    return {n: {k: round(float(g[kinds == k].mean()), 2) for k in sorted(set(kinds))} for n, g in gold.items()}


def samples(replies: Mapping[str, list[list[int]]], data: Data, tokenizer: Any, n: int = 4) -> list[dict[str, str]]:
    """Return the first n held-out prompts with every model's reply as text."""
    return [
        {"prompt": str(data.heldout_prompts[i]["prompt"]), **{m: tokenizer.decode(r[i]) for m, r in replies.items()}}
        for i in range(n)
    ]


def append_outcomes(world: World, seeds: list[int], base_folder: Path, path: Path) -> None:
    """Run the seeds that `path` does not hold yet, and append one JSON line for each.

    Raises:
        ForeignFileError: the file holds something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = {json.loads(line)["seed"] for line in path.read_text().splitlines()} if path.exists() else set()
    except (ValueError, KeyError, TypeError):
        raise ForeignFileError(
            f"{path} holds a line that is no outcome of a seed: remove it, or choose another --out"
        ) from None
    for seed in (s for s in seeds if s not in done):
        row = outcome(world, seed, base_folder)
        with path.open("ab", buffering=0) as out:  # in one write: an interrupt leaves whole lines
            out.write(f"{json.dumps(row)}\n".encode())
        print(json.dumps({k: v for k, v in row.items() if k not in ("samples",)}), flush=True)
