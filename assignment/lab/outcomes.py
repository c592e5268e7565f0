"""Measure what the whole pipeline achieves on a world, seed by seed: the numbers behind the notebook's claims.

`python -m assignment.lab outcomes --seeds 1 2 3` appends one JSON line a seed, and skips seeds that have one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from assignment.files import ForeignFileError
from rlhf_kit.gold import GoldReward

from .counts import kind_counts, kind_figures
from .draw import demonstrations
from .figures import (
    DECODINGS,
    JUDGES,
    MODELS,
    comparison_figures,
    curve_figures,
    judge_figures,
    policy_of,
    reply_figures,
    sft_figures,
    tidy,
)
from .kinds import questions_of_each_kind
from .study import run_study
from .world import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .experiment import Data
    from .figures import Figures
    from .study import Study
    from .world import World

BOOTSTRAP = 10_000
KINDS = 150  # questions of each kind
UNPRINTED = ("samples", "figures", "kinds", "curves", "sft_losses")
HELDOUT_DEMONSTRATIONS = 160  # as many as part 3 holds out


def outcome(world: World, seed: int, base_folder: Path, kinds: int = KINDS) -> dict[str, Any]:
    """Run the pipeline for one seed and return its row. kinds: questions of each kind."""
    return measured(run_study(world, seed, base_folder), kinds)


def measured(study: Study, kinds: int) -> dict[str, Any]:
    """Return the row of a study (gold in gold-reward units, KL in nats per sequence)."""
    compared = {decoding: comparison(study, greedy=decoding == "greedy") for decoding in DECODINGS}
    counts = {decoding: kinds_right(study, kinds, greedy=decoding == "greedy") for decoding in DECODINGS}
    curves = {JUDGES[judge]: one.curves() for judge, one in study.judged.items()}
    judges = judge_reports(study)
    figures = sft_figures(study.sft_losses, heldout_losses(study)) | curve_figures(curves)
    figures["perfect_accuracy"] = float(np.mean([pair.gap > 0 for pair in study.data.heldout]))
    for judge, report in judges.items():
        figures |= judge_figures(JUDGES[judge], study.judged[judge].losses, report)
    for decoding in DECODINGS:
        figures |= comparison_figures(decoding, compared[decoding]) | kind_figures(decoding, counts[decoding])
        figures |= text_figures(study, decoding, compared[decoding])
    row = summary(study, compared["sampled"], {judge: report["accuracy"] for judge, report in judges.items()})
    more = {"figures": tidy(figures), "kinds": counts, "curves": curves}
    return row | more | {"sft_losses": [round(loss, 3) for loss in study.sft_losses]}


def comparison(study: Study, *, greedy: bool) -> list[dict[str, Any]]:
    """Return T15's rows on the held-out prompts as part 9 makes them, with the mean score of each judge, and the gold
    reward of each reply as `gold` (N,)."""
    records, pipeline = study.data.heldout_prompts, study.pipeline
    prompts, gold = pipeline.encode_prompts(records), GoldReward(records, pipeline.tokenizer)
    rows = pipeline.compare(study.policies, records, gold, replace(pipeline.profile.evaluation, greedy=greedy))
    for row in rows:
        row["gold"] = gold(prompts, row["response_ids"]).numpy()
        row |= {judge: float(one.reward(prompts, row["response_ids"]).mean()) for judge, one in study.judged.items()}
    return rows


def kinds_right(study: Study, n: int, *, greedy: bool) -> dict[str, Any]:
    """Ask every model n held-out questions of each kind, and count the right answers."""
    questions = questions_of_each_kind(Partition(study.world, "student", "heldout"), n, study.seed)
    prompts = [question.prompt for question in questions]
    replies = {m: study.pipeline.generate(one, prompts, greedy=greedy) for m, one in study.policies.items()}
    return kind_counts(questions, replies)


def judge_reports(study: Study) -> dict[str, dict[str, float]]:
    """Return part 4's report of each reward model on the held-out pairs, with their noisy labels."""
    from solutions.p4_reward_model import judge_report

    pairs = study.pipeline.encode_pairs([pair.row for pair in study.data.heldout])
    return {judge: judge_report(one.reward.model, pairs) for judge, one in study.judged.items()}


def heldout_losses(study: Study) -> dict[str, float]:
    """Return part 3's loss of base and SFT model, nats per token, on new demonstrations of the same partition."""
    from solutions.p3_sft import heldout_loss

    new = demonstrations(Partition(study.world, "student", "train"), HELDOUT_DEMONSTRATIONS, f"new {study.seed}")
    encoded, config = study.pipeline.encode_demonstrations(new), study.pipeline.profile.sft
    return {name: heldout_loss(lm, encoded, config) for name, lm in (("Base", study.base), ("SFT", study.sft))}


def text_figures(study: Study, decoding: str, rows: list[dict[str, Any]]) -> Figures:
    """Return the figures of the replies' texts."""
    tokenizer, figures = study.pipeline.tokenizer, dict[str, float]()
    for row in rows:
        replies = row["response_ids"]
        texts = [tokenizer.decode(reply, skip_special_tokens=True) for reply in replies]
        ended = [tokenizer.eos_token_id in reply for reply in replies]
        figures |= reply_figures(MODELS[row["name"]], decoding, texts, ended)
    return figures


def summary(study: Study, rows: list[dict[str, Any]], accuracies: Mapping[str, float]) -> dict[str, Any]:
    """Return the part of a row that a person reads first, of sampled replies. rows: see `comparison`."""
    by_name = {row["name"]: row for row in rows}
    gold = {name: one["gold"] for name, one in by_name.items()}
    found: dict[str, Any] = {"world": study.world.seed, "seed": study.seed, "prompts": len(study.data.heldout_prompts)}
    found["threads"] = torch.get_num_threads()
    found["gold"] = {name: round(float(g.mean()), 3) for name, g in gold.items()}
    for better, worse in (("SFT", "Base"), ("Good-RM policy", "SFT"), ("Good-RM policy", "Poor-RM policy")):
        found[f"{better} > {worse}"] = paired(gold[better], gold[worse], study.seed)
    for judge, name in JUDGES.items():
        policy = by_name[policy_of(judge)]
        found[f"{name}_rm_accuracy"] = round(accuracies[judge], 4)
        found[f"{name}_proxy"] = [round(one[judge], 3) for one in (by_name["SFT"], policy)]
        found[f"{name}_kl"] = round(policy["kl_to_sft"], 3)
    found["tokens"] = {name: round(one["mean_tokens"], 1) for name, one in by_name.items()}
    found["seconds"] = study.seconds
    found["by_kind"] = by_kind(gold, study.data)
    replies = {name: one["response_ids"] for name, one in by_name.items()}
    return found | {"samples": samples(replies, study.data, study.pipeline.tokenizer)}


def paired(better: np.ndarray, worse: np.ndarray, seed: int) -> dict[str, float]:
    """Return the mean paired difference (gap), and the share p of bootstrap resamples of the prompts with a mean ≤
    0."""
    diff, rng = better - worse, np.random.default_rng(seed)
    draws = diff[rng.integers(0, len(diff), (BOOTSTRAP, len(diff)))].mean(1)
    return {"gap": round(float(diff.mean()), 3), "p": float((draws <= 0).mean())}


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


def append_outcomes(world: World, seeds: list[int], base_folder: Path, path: Path, kinds: int = KINDS) -> None:
    """Run the seeds that `path` does not hold yet, and append one JSON line for each. kinds: questions of each kind.

    Raises:
        ForeignFileError: the file holds something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {row["seed"] for row in read_rows(path)}
    for seed in (s for s in seeds if s not in done):
        row = outcome(world, seed, base_folder, kinds)
        with path.open("ab", buffering=0) as out:  # in one write: an interrupt leaves whole lines
            out.write(f"{json.dumps(row)}\n".encode())
        print(json.dumps({k: v for k, v in row.items() if k not in UNPRINTED}), flush=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of outcomes; none if there is no such file.

    Raises:
        ForeignFileError: a line is no outcome of a seed.
    """
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        for row in rows:
            row["seed"]
    except (ValueError, KeyError, TypeError):
        raise ForeignFileError(
            f"{path} holds a line that is no outcome of a seed: remove it, or choose another --out"
        ) from None
    return rows
