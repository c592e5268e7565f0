# %% [markdown]
# # Part 8 · Curves, and how to read them
#
# ## Going on another day
#
# Each training saved its model and its curves. To go on in a new kernel, run parts 1 and 2 and the cells of your slots, but
# no training; the next cell then loads what the trainings made. Models that are in memory stay as they are.

# %%
from __future__ import annotations

import math

import torch
from torch import Tensor

import rlhf_kit as kit

if __name__ == "__main__":
    kit.load_trainings(globals(), pipeline)

# %% [markdown]
# ## Learning and KL

# %%
if __name__ == "__main__":
    pipeline.needs("ppo_stats")
    kit.plot_ppo(ppo_stats)

# %% [markdown]
# **Reward** is the judge's score on fresh rollouts, without the penalty. Noise from phase to phase is normal (other prompts
# each time): read the trend over ten phases. <!-- CLAIM kl_grows kl_levels_off --> **KL** starts at 0 and grows while the policy learns; with a penalty
# it levels off where one more nat costs as much as it earns.
#
# | you see | it usually means |
# | --- | --- |
# | reward flat, KL ≈ 0 | nothing is learned: no gradient, wrong sign somewhere, rate far too low |
# | reward flat, KL rising | the policy moves, but not where the reward is: advantages wrong or misaligned |
# | reward and KL rise, then KL levels off | healthy |
# | reward rises, KL keeps rising | the judge has a weak spot and the policy is digging there |
# | KL jumps within a few steps, replies fall apart | rate too high, or too many epochs per phase |
# | KL negative for long | replies are not drawn from the distribution that is scored |
#
# KL here is in nats per *sequence*. Papers differ (per token, per sequence, prompt included); convert before you compare.
# <!-- CLAIM good_kl_one_nat good_tokens_twelve poor_kl_ten_nats --> A policy at 1 nat per reply of 12 tokens has changed its mind here and there; one at 10 speaks another language.
#
# ## Reward hacking
#
# Goodhart's law: when a measure becomes a target, it ceases to be a good measure. The next figure shows what each policy
# was *told* to raise (its own judge: hollow circles) and what we *wanted* (gold: filled squares), against
# $\sqrt{\text{KL}}$, the distance travelled from the SFT model. Each point is one phase of the training, averaged with
# its neighbours.

# %%
def smoothed(values: list[float]) -> list[float]:
    """Averaged over some ten phases, every fourth point: a scatter becomes a path."""
    return kit.smooth(values, 0.8)[::4]


if __name__ == "__main__":
    pipeline.needs("ppo_stats", "gold_curves")
    runs = {
        name: {
            "kl": smoothed([row["kl"] for row in rows]),
            "proxy": smoothed([row["reward"] for row in rows]),
            "gold": smoothed(gold_curves[name][:len(rows)]),
        }
        for name, rows in ppo_stats.items()
    }

# %%
if __name__ == "__main__":
    pipeline.needs("ppo_stats", "runs")
    kit.plot_overoptimisation(runs)

# %% [markdown]
# <!-- CLAIM good_gold_rises --> Under the Good RM both lines rise together, at first. <!-- CLAIM poor_proxy_rises_more poor_gold_falls --> Under the Poor RM the proxy rises far more, and gold *falls*: the
# policy has found out what the careless annotator liked, and gives it in quantity. <!-- CLAIM good_beats_poor --> By the proxy alone you would
# have picked the Poor-RM policy as the greater success. This is why a rising reward is never evidence of quality.
#
# ## Over-optimisation
#
# The Good RM is a model too, and has weak spots further out. Gao, Schulman and Hilton (2022) measured what happens when
# one goes on: with $d=\sqrt{\text{KL}}$, the gold reward follows $d\,(\alpha-\beta\log d)$ for RL: it rises, bends, and
# falls, while the proxy keeps rising. More data and a larger judge move the turning point out. A KL penalty acts like
# stopping early: it decides *how far* along the curve you go, and hardly changes the curve.
#
# An experiment for a quiet evening: `dataclasses.replace(profile.ppo, learning_rate=2 * profile.ppo.learning_rate,
# steps=2 * profile.ppo.steps, beta=b)` for $b$ in 0.02, 0.1, 0.5 against the Good RM. Plot all runs in one figure: do
# they lie on one curve? Where is its top?
#
# ## Best of n: the same without training
#
# There is a cheaper way to raise a reward: let the SFT model write $n$ replies, and keep the one that the judge likes best
# (Nakano et al. 2021). It takes $n$ times the work for each answer, again and again, where PPO pays once. How far it goes
# from the SFT model is known: at most $\log n-(n-1)/n$ nats per reply. It optimises the judge all the same.

# %%
def best_of(scores: Tensor, gold: Tensor, n: int) -> tuple[float, float]:
    """Mean score and mean gold reward of each prompt's best reply by score, among its first n.

    scores, gold: (prompts, replies)."""
    best = scores[:, :n].argmax(dim=1, keepdim=True)
    return float(scores.gather(1, best).mean()), float(gold.gather(1, best).mean())


if __name__ == "__main__":
    pipeline.needs("sft_lm", "rewards", "train_prompts")
    some, sizes = train_prompts.select(range(128)), (1, 2, 4, 8)
    asked_ids = [ids for ids in pipeline.encode_prompts(some) for _ in range(max(sizes))]
    generator = torch.Generator(device=device).manual_seed(0)
    drawn = kit.sample(sft_lm, asked_ids, profile.ppo.max_new_tokens, generator=generator)
    true = kit.GoldReward(some, tokenizer)(asked_ids, drawn).view(len(some), -1)
    best_runs = {}
    for judge, reward in rewards.items():
        scores = reward(asked_ids, drawn).view(len(some), -1)
        means = [best_of(scores, true, n) for n in sizes]
        best_runs[f"best of n, {judge}"] = {
            "kl": [math.log(n) - (n - 1) / n for n in sizes],
            "proxy": [proxy for proxy, _ in means],
            "gold": [gold for _, gold in means],
        }

# %%
if __name__ == "__main__":
    pipeline.needs("ppo_stats", "runs", "best_runs")
    kit.plot_overoptimisation(runs | best_runs)

# %% [markdown]
# Compare at equal distance: which of the two gets more out of the Good RM? And where does gold go when the best of 8 is
# chosen by the Poor RM? No gradient was involved, so whatever you see is the judge's own.
#
# ## Where the length goes
#
# <!-- CLAIM poor_replies_lengthen --> A hacked reward often shows first in a plain statistic. Length is the one to look at.

# %%
if __name__ == "__main__":
    pipeline.needs("ppo_stats")
    reply_lengths = {name: [row["length"] for row in rows] for name, rows in ppo_stats.items()}
    kit.plot_loss(
        reply_lengths,
        title="Mean length of rollouts",
        xlabel="PPO step",
        ylabel="tokens",
        smoothing=0.6,
    )
