"""Public check of T15: the comparison, on bigram policies whose figures can be worked out by hand."""

import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit
from rlhf_kit.advice import explain, near
from rlhf_kit.table_models import BigramPolicy

name = "T15"
points = None

V = 6
PROMPTS = [[2, 2 + i % 4, 2] for i in range(60)]
KEYS = {"name", "n", "mean_reward", "kl_to_sft", "win_rate", "win_low", "win_high", "mean_tokens", "repetition", "response_ids"}


def config(**changes):
    return kit.EvalConfig(**({"max_new_tokens": 6, "bootstrap": 400, "batch_size": 16} | changes))


def policy(sharp=0.0, seed=1, dropout=0.0, **edges):
    """Make a policy from a random table. edges: a2=3 means that 3 always follows 2."""
    weight = sharp * torch.randn(V, V, generator=torch.Generator().manual_seed(seed))
    for source, target in edges.items():
        weight[int(source[1:])] = -40.0
        weight[int(source[1:]), target] = 40.0
    return BigramPolicy(weight, dropout=dropout).eval()


def length(prompt_ids, response_ids):
    return torch.tensor([float(len(r)) for r in response_ids])


def replies(row):
    return [list(reply) for reply in row["response_ids"]]


@test_case(name="one row per policy")
def check_rows(compare_policies):
    rows = compare_policies({"Base": policy(1.0), "SFT": policy(), "Good": policy(1.0, seed=2)}, PROMPTS, length, config())
    assert rows and [row["name"] for row in rows] == ["Base", "SFT", "Good"], (
        "Return a list with one row per policy, in the given order."
    )
    missing = KEYS - set(rows[0])
    assert not missing, f"A row lacks {', '.join(sorted(missing))}."
    for row in rows:
        assert row["n"] == len(row["response_ids"]) == 60, "n is the number of prompts, with one reply for each."
        counts = [len(r) for r in replies(row)]
        assert all(1 <= n <= 6 for n in counts), "Every reply has between 1 and max_new_tokens tokens."
        mean = sum(counts) / 60
        assert near(row["mean_tokens"], mean, 1e-6), explain(
            row["mean_tokens"], mean, "mean_tokens, the mean length of 60 response_ids", {
            "Your mean_tokens leaves the end tokens out.":
                sum(len(r) - (r[-1] == kit.EOS_ID) for r in replies(row)) / 60,
        }, 1e-6)
        batches = [counts[i : i + 16] for i in range(0, 60, 16)]
        assert near(row["mean_reward"], mean), explain(
            row["mean_reward"], mean, "mean_reward of 60 replies, scored by their length", {
            "The last batch is a short one: weight by items, not by batches.":
                sum(sum(b) / len(b) for b in batches) / len(batches),
        })


@test_case(name="response_ids are the replies that were scored")
def check_replies(compare_policies):
    asked = [[a, b, 2] for a in range(2, V) for b in range(2, V)]
    scored = {tuple(prompt): [] for prompt in asked}

    def score(prompt_ids, response_ids):
        for prompt, reply in zip(prompt_ids, response_ids):
            scored[tuple(prompt)].append(list(reply))
        return length(prompt_ids, response_ids)

    rows = compare_policies({"SFT": policy(1.0), "Other": policy(1.0, seed=5)}, asked, score, config())
    times = {len(found) for found in scored.values()}
    assert times <= {2, 3, 4}, (  # SFT may be scored again for each row
        "Same number of samples for all models, and one per prompt: the best of several is another quantity. "
        if max(times) > 4 else ""
    ) + f"Two policies answer {len(asked)} prompts once each; a prompt's replies were scored {sorted(times)} times."
    right = [[scored[tuple(prompt)][-1 if k else 0] for prompt in asked] for k in range(2)]
    for k, row in enumerate(rows):
        known = {
            "The end tokens are missing from your response_ids.":
                [r[:-1] if r[-1] == kit.EOS_ID else r for r in right[k]],
            "Your response_ids hold the prompts too.": [p + r for p, r in zip(asked, right[k])],
            "Your response_ids are those of another policy.": right[1 - k],
        }
        found = replies(row)
        causes = [text for text, ids in known.items() if found == ids]
        if sorted(found) == sorted(right[k]):
            causes = ["Your response_ids are in another order than the prompts."]
        first = next((i for i in range(len(asked)) if found[i : i + 1] != [right[k][i]]), None)
        assert first is None, "".join(causes) + (
            f" {row['name']}, prompt {first} of {len(asked)}: the reply that was scored is {right[k][first]}, "
            f"response_ids has {found[first : first + 1]}."
        )


@test_case(name="SFT against itself")
def check_self(compare_policies):
    (row,) = compare_policies({"SFT": policy(1.0)}, PROMPTS, length, config())
    found = [float(row[key]) for key in ("win_rate", "win_low", "win_high")]
    ties = "Split ties: two equal models must score one half."
    assert near(found, [0.5] * 3, 1e-9), explain(
        found, [0.5] * 3, "win_rate, win_low, win_high of SFT against itself, 60 prompts", [
        (ties, [1.0] * 3), (ties, [0.0] * 3),
    ], 1e-9)
    where = "kl_to_sft of SFT itself"
    assert near(row["kl_to_sft"], 0.0), explain(row["kl_to_sft"], 0.0, where)
    (row,) = compare_policies({"SFT": policy(1.0, dropout=0.5)}, PROMPTS, length, config())
    assert near(row["kl_to_sft"], 0.0), (
        "With dropout on, the same reply gets another log-probability in each pass: your KL is partly noise. "
        + explain(row["kl_to_sft"], 0.0, f"{where}, with a dropout of 0.5 that eval mode turns off")
    )


@test_case(name="wins, prompt by prompt")
def check_wins(compare_policies):
    pair = {"SFT": policy(a2=3, a3=0), "Long": policy(a2=3, a3=2)}  # replies of 2 and of 6 tokens
    # Long loses where prompts hold 3, and wins elsewhere. 3 and 4 are easy prompts, with a higher score for both.

    def score(prompt_ids, response_ids):
        easy = [100.0 * (prompt[1] in (3, 4)) for prompt in prompt_ids]
        own = [-len(r) if prompt[1] == 3 else len(r) for prompt, r in zip(prompt_ids, response_ids)]
        return torch.tensor(easy) + torch.tensor(own)

    row = compare_policies(pair, PROMPTS, score, config(greedy=True))[1]
    assert near(row["win_rate"], 0.75, 1e-6), explain(
        row["win_rate"], 0.75, "win_rate over 60 prompts, of which 45 are won", {
        "Compare prompt by prompt: an easy prompt is easy for both.": 0.5,
        "Your win rate is that of SFT.": 0.25,
        "You compare the two means; the share of prompts that are won is asked for.": 1.0,
    }, 1e-6)
    width, spread = row["win_high"] - row["win_low"], math.sqrt(0.75 * 0.25)
    usual = 2 * 1.96 * spread / math.sqrt(60)
    assert 0.7 * usual < width < 1.4 * usual, (
        "The interval has no width: resample prompts with replacement, n of them each time. " if abs(width) < 1e-9
        else "Your interval does not shrink with more prompts: how uncertain is a mean of n values? "
        if width > 0.9 or near(width, 2 * 1.96 * spread, 0.05) else ""
    ) + f"The interval for 45 wins of 60 should be about {usual:.2f} wide; yours is {width:.2f}."
    assert 0 < row["win_low"] < 0.75 < row["win_high"] < 1, (
        f"The interval surrounds the win rate of 0.75; yours is [{row['win_low']:.3f}, {row['win_high']:.3f}]."
    )
    half = compare_policies(pair, PROMPTS, score, config(greedy=True, confidence=0.5))[1]
    narrow = half["win_high"] - half["win_low"]
    assert narrow < 0.6 * width, (
        "config.confidence has no effect on your interval. " if near(narrow, width, 1e-6) else ""
    ) + f"It is {width:.3f} wide at a confidence of 0.95, and {narrow:.3f} at 0.5."


@test_case(name="KL to SFT, in nats per sequence")
def check_kl(compare_policies):
    # "Sure" answers 3 4 0, always. Under SFT these tokens have probability 1/2, 1/4 and 1/16.
    sft = torch.full((V, V), -20.0)
    for before, token, p in ((2, 3, 1 / 2), (3, 4, 1 / 4), (4, 0, 1 / 16), (5, 2, 2**-8 / V)):
        sft[before, [token, 1]] = torch.tensor([p, 1 - p]).log()
    sure = policy(a2=3, a3=4, a4=0)
    rows = compare_policies({"SFT": BigramPolicy(sft).eval(), "Sure": sure}, [[5, 2]] * 20, length, config())
    one, value = math.log(2), float(rows[1]["kl_to_sft"])
    table = (sure.lm.weight.log_softmax(-1) - sft.log_softmax(-1)).detach()
    assert near(value, 7 * one, 1e-3), explain(
        value, 7 * one, "kl_to_sft of 20 replies of 3 tokens, with log-ratios (1, 2, 4) ln 2", {
        "A policy that drifts from SFT on its own replies has a positive log-ratio on average; yours is negative.":
            -7 * one,
        "The handout asks for nats per sequence; yours are nats per token.": 7 / 3 * one,
        "Only reply tokens count in the KL; changing the prompt moves your number.": 15 * one,
        "The reply's end token is left out of your KL.": 3 * one,
        "The reply's first token is left out of your KL.": 6 * one,
        "Your KL is a sum over the replies; their mean is asked for.": 140 * one,
        "Your KL is 0: the policy is compared with itself, not with SFT.": 0.0,
        "The log-prob of token t comes from the logits at t-1.": float(table[[3, 4, 0], [3, 4, 0]].sum()),
    }, 1e-3)


@test_case(name="repetition")
def check_repetition(compare_policies):
    rows = compare_policies({"SFT": policy(a2=3, a3=0), "Loop": policy(a2=3, a3=2)}, PROMPTS, length, config(greedy=True))
    found, wanted = [float(row["repetition"]) for row in rows], [0.0, 1 - 2 / 5]
    assert near(found, wanted, 1e-6), explain(
        found, wanted, "repetition of the replies 3 0 and 3 2 3 2 3 2 (five pairs, two distinct)", {
        "A word may come twice; the handout counts pairs of neighbouring tokens.": [0.0, 1 - 2 / 6],
        "Repetition is a property of one reply: compute it per reply, then average.": [1 - 1 / 60, 1 - 2 / 300],
        "Your number is the share of distinct pairs; repetition is 1 minus it.": [1.0, 2 / 5],
    }, 1e-6)


@test_case(name="decoded alike, and reproducible")
def check_decoding(compare_policies):
    pair, settings = {"SFT": policy(0.5), "Twin": policy(0.5)}, config()
    usual = {"max_new_tokens": 6, "batch_size": 16}
    greedy = kit.sample(pair["SFT"].lm, PROMPTS, greedy=True, **usual)
    shared = torch.Generator().manual_seed(settings.seed)
    in_turn = [kit.sample(pair["SFT"].lm, PROMPTS, generator=shared, **usual) for _ in pair]
    sampled = [replies(row) for row in compare_policies(pair, PROMPTS, length, settings)]
    assert sampled[0] == sampled[1], (
        "Same decoding for all models: at least one of yours is decoded with other settings. " if greedy in sampled
        else "One generator serves all policies in turn: give each a fresh one, with config.seed. " if sampled == in_turn else ""
    ) + "Two equal policies must give equal replies; yours differ."
    again = [replies(row) for row in compare_policies(pair, PROMPTS, length, settings)]
    assert again == sampled, (
        "Two calls with one config must give the same replies: draw with a generator seeded by config.seed."
    )
    other = [replies(row) for row in compare_policies(pair, PROMPTS, length, config(seed=77))]
    assert other != sampled, (
        "config.greedy has no effect: your replies are the most likely ones, not samples."
        if sampled[0] == greedy
        else "config.seed has no effect: with another seed the replies are the same."
    )
    found = replies(compare_policies(pair, PROMPTS, length, config(greedy=True))[0])
    assert found == greedy, (
        "config.greedy has no effect: your replies are samples although greedy decoding was asked for."
        if found == sampled[0]
        else f"With config.greedy each token is the most likely one: {greedy[0]} for the first prompt, yours is {found[0]}."
    )
