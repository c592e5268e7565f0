"""Public check of T15: the comparison, on bigram policies whose figures can be worked out by hand."""

import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit
from rlhf_kit.table_models import BigramPolicy

name = "T15"
points = None

V = 6
PROMPTS = [[2, 3 + i % 3, 2] for i in range(60)]
KEYS = {"name", "n", "mean_reward", "kl_to_sft", "win_rate", "win_low", "win_high", "mean_tokens", "repetition", "response_ids"}


def config(**changes):
    return kit.EvalConfig(**({"max_new_tokens": 6, "bootstrap": 400, "batch_size": 16} | changes))


def policy(sharp=0.0, seed=1, **edges):
    """Make a policy from a random table. edges: a2=3 means that 3 always follows 2."""
    weight = sharp * torch.randn(V, V, generator=torch.Generator().manual_seed(seed))
    for source, target in edges.items():
        weight[int(source[1:])] = -40.0
        weight[int(source[1:]), target] = 40.0
    return BigramPolicy(weight)


def length(prompt_ids, response_ids):
    return torch.tensor([float(len(r)) for r in response_ids])


@test_case(name="one row per policy")
def check_rows(compare_policies):
    rows = compare_policies({"Base": policy(1.0), "SFT": policy(), "Good": policy(1.0, seed=2)}, PROMPTS, length, config())
    assert [row["name"] for row in rows] == ["Base", "SFT", "Good"], "One row per policy, in the given order."
    missing = KEYS - set(rows[0])
    assert not missing, f"A row lacks {', '.join(sorted(missing))}."
    for row in rows:
        assert row["n"] == len(row["response_ids"]) == 60, "n is the number of prompts, with one reply for each."
        replies = row["response_ids"]
        assert all(1 <= len(r) <= 6 for r in replies), "Every reply has between 1 and max_new_tokens tokens."
        mean = sum(len(r) for r in replies) / 60
        assert abs(row["mean_tokens"] - mean) < 1e-6, "mean_tokens is the mean length of the replies you return."
        assert abs(row["mean_reward"] - mean) < 1e-4, "mean_reward is the mean of score_fn on the replies you return."


@test_case(name="SFT against itself")
def check_self(compare_policies):
    (row,) = compare_policies({"SFT": policy(1.0)}, PROMPTS, length, config())
    assert abs(row["win_rate"] - 0.5) < 1e-9, "Split ties: two equal models must score one half."
    assert abs(row["win_low"] - 0.5) < 1e-9 and abs(row["win_high"] - 0.5) < 1e-9, "Only ties: there is nothing to resample."
    assert abs(row["kl_to_sft"]) < 1e-4, "SFT is at distance 0 from itself."


@test_case(name="wins, prompt by prompt")
def check_wins(compare_policies):
    long, short = policy(a2=3, a3=2), policy(a2=3, a3=0)
    rows = compare_policies({"SFT": short, "Long": long}, PROMPTS, length, config(greedy=True))
    assert rows[1]["win_rate"] == 1.0, "Each reply of this policy beats SFT's reply to the same prompt."
    score = lambda p, r: torch.tensor([float(len(y) if x[1] == 3 else -len(y)) for x, y in zip(p, r)])  # noqa: E731
    rows = compare_policies({"SFT": short, "Long": long}, PROMPTS, score, config(greedy=True))
    row = rows[1]
    assert abs(row["win_rate"] - 1 / 3) < 1e-6, "Compare prompt by prompt: an easy prompt is easy for both."
    half = 1.96 * math.sqrt(2 / 9 / 60)
    width = row["win_high"] - row["win_low"]
    assert width > half, "The interval is too narrow: resample prompts with replacement, n of them each time."
    assert width < 3 * half, (
        "Your interval does not shrink with more prompts: how uncertain is a mean of n values?"
    )
    assert 0 < row["win_low"] < 1 / 3 < row["win_high"] < 1, "The interval surrounds the win rate."


@test_case(name="KL to SFT, in nats per sequence")
def check_kl(compare_policies):
    # SFT: uniform over 6 tokens. Other: 2 -> 3 and 3 -> 0, always: each reply is [3, 0], log-ratio 2 ln 6
    rows = compare_policies({"SFT": policy(), "Sure": policy(a2=3, a3=0)}, PROMPTS, length, config())
    value = rows[1]["kl_to_sft"]
    assert abs(value + 2 * math.log(6)) > 1e-3, (
        "A policy that drifts from SFT on its own replies has a positive log-ratio on average; yours is negative."
    )
    assert abs(value - math.log(6)) > 1e-3, (
        "The handout asks for nats per sequence; yours are nats per token."
    )
    assert abs(value - 2 * math.log(6)) < 1e-3, (
        "Only reply tokens count in the KL; changing the prompt moves your number. Its end token counts too."
    )


@test_case(name="repetition")
def check_repetition(compare_policies):
    rows = compare_policies({"SFT": policy(a2=3, a3=0), "Loop": policy(a2=3, a3=2)}, PROMPTS, length, config(greedy=True))
    assert rows[0]["repetition"] == 0.0, (
        "Repetition is a property of one reply: compute it per reply, then average. Without a repeated bigram it is 0."
    )
    assert abs(rows[1]["repetition"] - 0.6) < 1e-6, (
        "A word may come twice; the handout counts pairs of neighbouring tokens. "
        "3 2 3 2 3 2 has five pairs, two of them distinct: 1 - 2/5."
    )


@test_case(name="decoded alike, and reproducible")
def check_decoding(compare_policies):
    pair = {"SFT": policy(0.5), "Twin": policy(0.5)}
    rows = compare_policies(pair, PROMPTS, length, config())
    assert rows[0]["response_ids"] == rows[1]["response_ids"], (
        "Same decoding for all models: at least one of yours is decoded with other settings. Two equal policies "
        "must give equal replies, with the same seed for each."
    )
    again = compare_policies(pair, PROMPTS, length, config())
    assert again[1]["response_ids"] == rows[1]["response_ids"], "Two calls must give the same: use config.seed."
    other = compare_policies(pair, PROMPTS, length, config(seed=77))
    assert other[1]["response_ids"] != rows[1]["response_ids"], (
        "config.greedy has no effect: your replies are the most likely ones, not samples."
        if len({tuple(r) for r in rows[1]["response_ids"]}) <= 3
        else "config.seed has no effect."
    )
    greedy = compare_policies(pair, PROMPTS, length, config(greedy=True))[0]["response_ids"]
    assert all(greedy[i] == greedy[i % 3] for i in range(60)), (
        "config.greedy has no effect: your replies are samples although greedy decoding was asked for."
    )
