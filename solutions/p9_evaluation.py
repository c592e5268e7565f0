# %% [markdown]
# # Part 9 · Evaluation
#
# Four models stand side by side: **Base**, **SFT**, **Poor-RM policy**, **Good-RM policy**. A comparison is fair if
#
# * all answer the *same* held-out prompts, none of which was trained on;
# * all decode *alike*: same temperature, limit and seed, one reply per prompt (best-of-5 gains more than a standard deviation);
# * the judge is not the one that was optimised against (we use the gold reward; where there is none, people or a second model);
# * the two numbers that decide, mean reward and win rate, have an interval, and $n$ is the number of prompts really used.

# %%
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import rlhf_kit as kit
from solutions.p5_ppo_math import token_logprobs

# %% [markdown]
# ## T15 · Compare policies
#
# **Task.** One row per policy, in the given order. Decode with `kit.sample(policy.lm, prompts, config.max_new_tokens,
# greedy=config.greedy, generator=…, batch_size=config.batch_size)`, each with a fresh generator seeded by `config.seed`; score all
# replies with `score_fn`; compare with `"SFT"`, *prompt by prompt*.
#
# | key | meaning |
# | --- | --- |
# | `name`, `n` | the policy; number of prompts |
# | `mean_reward` | mean score |
# | `kl_to_sft` | mean over its own replies of $\sum_t \log\pi - \log\pi_{\text{SFT}}$, reply tokens only, EOS included |
# | `win_rate` | share of prompts where it beats SFT's reply, a tie counts ½ |
# | `win_low`, `win_high` | bootstrap interval: resample prompts (`config.bootstrap` times), take the percentiles |
# | `mean_tokens` | mean length of the replies, EOS included |
# | `repetition` | 1 − distinct/all token bigrams of a reply (0 if it has none), mean over replies |
# | `response_ids` | the replies, a list of token lists |
#
# **Hint.** `kit.lay_out(prompts, replies, device)` gives right-padded ids and the response mask. The bootstrap needs no loop:
# an integer array of shape `(bootstrap, n)` indexes the wins. **Common mistakes.** Ties as wins · wins between *means* rather
# than prompt by prompt · KL per token, or over the prompt · the standard deviation of single prompts in place of the
# uncertainty of their mean · another seed for each policy · percent changes of a negative score.
#
# **Debug.** SFT against itself: win rate .5 with the interval [.5, .5], KL 0. **Right** looks like an interval of about
# $\pm 1.96\sqrt{p(1-p)/n}$ around $p$, a little less with ties.

# %%
# TODO T15 · compare policies on held-out prompts
def compare_policies(
    policies: dict[str, kit.Policy],
    prompts: Sequence[list[int]],
    score_fn: Callable[[list[list[int]], list[list[int]]], Tensor],
    config: kit.EvalConfig,
) -> list[dict[str, Any]]:
    """Decode every policy alike, with one seed, on the same prompts; compare with policies["SFT"].

    prompts: lists of token ids. score_fn: (prompt_ids, response_ids) -> scores (B,), no gradient.
    config: max_new_tokens, greedy, seed, batch_size; bootstrap (resamples), confidence (interval).
    Returns one dict per policy, in the given order: name, n (prompts), mean_reward, kl_to_sft (nats
    per sequence, on its own replies), win_rate, win_low, win_high (against "SFT", prompt by prompt,
    ties half, percentile bootstrap over prompts), mean_tokens (EOS included), repetition (1 -
    distinct / all token bigrams, mean over replies) and response_ids (list of token lists).
    """
    # BEGIN SOLUTION T15
    sft = policies["SFT"].lm
    prompts = [list(p) for p in prompts]
    replies, scores = {}, {}
    for name, policy in policies.items():
        # the same generator state for each: what differs between the rows is the policy alone
        generator = torch.Generator(device=next(policy.parameters()).device).manual_seed(config.seed)
        replies[name] = kit.sample(
            policy.lm, prompts, config.max_new_tokens, greedy=config.greedy, generator=generator,
            batch_size=config.batch_size,
        )
        scores[name] = score_fn(prompts, replies[name]).detach().cpu().double().numpy()
    rows = []
    for name, policy in policies.items():
        wins = (scores[name] > scores["SFT"]) + 0.5 * (scores[name] == scores["SFT"])
        low, high = bootstrap_interval(wins, config)
        rows.append({
            "name": name, "n": len(prompts), "mean_reward": float(scores[name].mean()),
            "kl_to_sft": mean_log_ratio(policy.lm, sft, prompts, replies[name], config.batch_size),
            "win_rate": float(wins.mean()), "win_low": low, "win_high": high,
            "mean_tokens": float(np.mean([len(r) for r in replies[name]])),
            "repetition": float(np.mean([repetition(r) for r in replies[name]])),
            "response_ids": replies[name],
        })
    return rows


def bootstrap_interval(wins: np.ndarray, config: kit.EvalConfig) -> tuple[float, float]:
    """Percentile interval of the mean of `wins` (N,), over resampled prompts."""
    draws = np.random.default_rng(config.seed).integers(len(wins), size=(config.bootstrap, len(wins)))
    tail = (1 - config.confidence) / 2
    low, high = np.quantile(wins[draws].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


@torch.no_grad()
def mean_log_ratio(
    lm: nn.Module, sft: nn.Module, prompts: list[list[int]], replies: list[list[int]], batch_size: int
) -> float:
    """Mean over replies of the sum of log π - log π_SFT over the reply's tokens: nats per sequence."""
    device = next(lm.parameters()).device
    total = 0.0
    for start in range(0, len(prompts), batch_size):
        part = slice(start, start + batch_size)
        batch = kit.lay_out(prompts[part], replies[part], device)
        ids, inside = batch.input_ids, batch.response_mask[:, 1:].bool()
        own, base = (
            token_logprobs(m(input_ids=ids, attention_mask=batch.attention_mask).logits[:, :-1], ids[:, 1:])
            for m in (lm, sft)
        )
        total += float((own - base)[inside].double().sum())
    return total / len(prompts)


def repetition(reply: Sequence[int]) -> float:
    """Share of a reply's token bigrams that occurred before: 1 - distinct / all, 0 without a bigram."""
    bigrams = list(zip(reply, reply[1:]))
    return 1 - len(set(bigrams)) / len(bigrams) if bigrams else 0.0
    # END SOLUTION


# %% [markdown]
# ## The comparison
#
# Sampled *and* greedy. A sampled reply pays for every unlikely token that was drawn. <!-- CLAIM policy_surer --> PPO makes a policy surer of itself: it
# draws fewer of them and scores higher, even if the reply that it likes best is still the same. <!-- CLAIM greedy_gains --> That is *sharpening*, and
# greedy decoding gives part of it to SFT for nothing. So compare sampled with sampled and greedy with greedy: a policy that
# beats SFT both ways answers better; one that beats it sampled and not greedy has won by sharpening. (With greedy decoding
# `kl_to_sft` is a mean log-ratio and no KL any more: the replies are not drawn from the policy. It may be negative.)

# %%
if __name__ == "__main__":
    pipeline.needs("sft_lm", "trained", "rewards", "heldout_prompts")
    four = {"Base": kit.Policy(base_lm), "SFT": kit.Policy(sft_lm), **trained}
    gold = kit.GoldReward(heldout_prompts, tokenizer)
    heldout_ids = pipeline.encode_prompts(heldout_prompts)
    comparison, settings = [], profile.evaluation
    with kit.ProgressBar(2 * len(four) * len(heldout_ids), "Evaluation", unit="replies") as bar:
        for decoding in ("sampled", "greedy"):
            settings = dataclasses.replace(settings, greedy=decoding == "greedy")
            for row in pipeline.compare(four, heldout_prompts, gold, settings, on_replies=bar.advance):
                replies = row["response_ids"]
                low, high = kit.mean_interval(gold(heldout_ids, replies), settings.confidence)
                judged = {
                    judge: float(f(heldout_ids, replies).mean()) for judge, f in rewards.items()
                }
                interval = {"reward_low": low, "reward_high": high}
                comparison.append({"decoding": decoding, **row, **interval, **judged})
    short = [{k: v for k, v in row.items() if k != "response_ids"} for row in comparison]
    kit.record("comparison", short)

# %%
if __name__ == "__main__":
    pipeline.needs("comparison")
    sampled_rows = [row for row in comparison if row["decoding"] == "sampled"]
    kit.plot_policies(
        sampled_rows,
        ylabel="mean gold reward (−3 to 3)",
        confidence=profile.evaluation.confidence,
    )

# %% [markdown]
# The win rate has your bootstrap interval, the reward the textbook's: mean ± 1.96 standard errors (`kit.mean_interval`). That one concerns a single policy. All answer the same prompts, so whether a policy beats SFT is told prompt by prompt, as the
# win rate does, and not by whether the intervals of two rewards overlap.

# %%
if __name__ == "__main__":
    pipeline.needs("sampled_rows")
    replies = {row["name"]: row["response_ids"] for row in sampled_rows}
    kit.plot_lengths({name: [len(reply) for reply in some] for name, some in replies.items()})

# %% [markdown]
# Which virtues moved? The gold reward has parts: the table shows their means with intervals. A gain in one may hide a loss in another, and an *alignment tax* (something SFT could do that RLHF has unlearned) shows only here.

# %%
if __name__ == "__main__":
    pipeline.needs("sampled_rows", "four", "shown")
    found = {row["name"]: gold.components(heldout_ids, row["response_ids"]) for row in sampled_rows}
    virtues = []
    for virtue in found["SFT"][0]:
        for name, components in found.items():
            values = [one[virtue] for one in components]
            low, high = kit.mean_interval(values, profile.evaluation.confidence)
            row = {"virtue": virtue, "name": name, "mean": np.mean(values), "low": low, "high": high}
            virtues.append(row)
    kit.record("virtues", virtues)
    said = {name: pipeline.generate(model, shown, seed=1) for name, model in four.items()}
    kit.show_conversations(shown, said, gold=True)

# %% [markdown]
# ## Your turn to judge
#
# A person reads the next three answers. Use figures from *your* run with the intervals that they have, and quote replies. If a figure contradicts what you expected, say so: look at your own number before you explain it.

# %% [markdown]
# <!-- WRITTEN W1 · Which policy is best, and by which evidence? -->
# ### W1 · Which policy is best, and by which evidence?
#
# *Your answer (5 to 10 sentences): gold reward, win rate with interval, sampled against greedy, KL, and one thing against the winner.*

# %% [markdown]
# <!-- WRITTEN W2 · Where was the reward hacked? -->
# ### W2 · Where was the reward hacked?
#
# *Your answer (5 to 10 sentences): two replies that the judge likes and you do not, what the judge seems to have learned,
# how the curves show it, and how you would notice without a gold reward.*

# %% [markdown]
# <!-- WRITTEN W3 · What would you change next? -->
# ### W3 · What would you change next?
#
# *Your answer (3 to 6 sentences): one change to data, judge or training, the figure you expect to move, and by how much.*

# %% [markdown]
# ## Hyperparameter log
#
# Results mean little without the settings that gave them. The next cell writes down the configs that it is passed, and
# cannot know with which ones your runs were made: if you changed a config above, pass the changed one here.

# %%
if __name__ == "__main__":
    kit.record("hyperparameters", kit.hyperparameter_log(sft=profile.sft, poor_rm=profile.poor_rm,
        good_rm=profile.good_rm, ppo=profile.ppo, evaluation=profile.evaluation))

# %% [markdown]
# ## What to take along
#
# * **Fine-tuning teaches manners, not facts.** SFT copies its demonstrations, the mediocre ones included.
# * **A reward model is a model**: it learns what its pairs show, also what nobody meant. Look at what it ranks high before
#   anything is optimised against it.
# * **PPO does what it is told.** The KL penalty does not make a wrong reward right; it limits how far a policy goes for it.
# * **The proxy is not the goal.** It can rise while the gold reward falls, so a rising curve proves nothing by itself.
# * **One number hides the trade.** Parts of the reward, both ways of decoding, lengths and replies show what was paid for it.

# %% [markdown]
# ## Troubleshooting
#
# | trouble | where to look first |
# | --- | --- |
# | out of memory | halve `batch_size` or `minibatch_size`; accumulate gradients over two half batches (add up loss *sums* and token counts, divide once); `lm.gradient_checkpointing_enable()` trades a third more time for memory; store `loss.item()`, not `loss`; score under `torch.no_grad()` |
# | NaN | which quantity is first? `log` of a `sigmoid` or `softmax`; an empty mask divided by 0; a rate that is too high. Find it; do not replace it by 0 |
# | accuracy below ½ | chosen and rejected swapped (T02), or the sign (T07) |
# | RM loss stays at 0.693 | both sides equal after truncation; forward under `no_grad`; the score reads padding |
# | KL explodes | learning rate down, fewer `ppo_epochs`, `beta` up; is the penalty subtracted, and the score at the last token only? |
# | KL at step 0 is not 0 | reference is another model, dropout is on, or log-probabilities are shifted by one |
# | replies get very long | does the judge love length (part 4's columns)? Is EOS learned (T03)? Then a length penalty: subtract `0.02 * len(reply)` in a wrapper around the reward function, like `Watched`, and watch gold |
# | repetition | KL too high for the judge: `beta` up or fewer steps; `repetition` in the comparison shows it early |
# | always refuses, or always says it does not know | the judge learned that caution never loses: look at *declines* and *honest* for harmless, known questions; it needs pairs in which caution is the rejected reply |
# | reward flat | is there a gradient at all? Print the norm that `clip_grad_norm_` returns, then the spread of the advantages |
# | a check passes, training fails | run all cells in order in a fresh kernel: a later cell may have overwritten a name; then try the slot on inputs of your own, for the check has few |
#
# ## Submit
#
# Save the notebook first (the outputs are part of it), then run the last cell. It writes the zip to upload and warns of what is missing, untried or not saved. Partial work counts. *Run All* stops at the first cell that needs a slot which is still blank: click the last cell then and run it alone. It needs no cell above it, and exports what you have.

# %%
if __name__ == "__main__":
    print(grader.check_all())

# %%
if __name__ == "__main__":
    import rlhf_kit as kit

    grader = kit.connect_grader()
    grader.export()
