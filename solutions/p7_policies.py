# %% [markdown]
# # Part 7 · Two policies
#
# Same start, same prompts, same loop; only the judge differs. Before PPO sees a judge, its scores are normalised to mean 0
# and spread 1 on replies of the SFT model (`pipeline.reward_function`), as in Stiennon et al. (2020), so that one $\beta$ fits
# both judges; a reply that never ends costs extra.
#
# Since the world was invented, there is something that real projects never have: the **gold reward**, the true worth
# of a reply (right, honest, declines what it should, brief, courteous, cleanly ended), between −3 and 3. PPO must not see it.
# The class below scores rollouts for PPO with the judge and, on the side, notes their gold reward for us.

# %%
from __future__ import annotations

from torch import Tensor

import rlhf_kit as kit


class Watched:
    """A reward function for PPO that also keeps the mean gold reward of each phase's rollouts."""

    def __init__(self, reward_fn: kit.RewardFunction, gold: kit.GoldReward) -> None:
        self.reward_fn, self.gold, self.gold_means = reward_fn, gold, []

    def __call__(self, prompt_ids: list[list[int]], response_ids: list[list[int]]) -> Tensor:
        """Rewards (B,) of the judge; the gold reward is noted, not returned."""
        self.gold_means.append(float(self.gold(prompt_ids, response_ids).mean()))
        return self.reward_fn(prompt_ids, response_ids)

# %%
if __name__ == "__main__":
    pipeline.needs("sft_lm", "reward_models", "train_prompts")
    train_gold = kit.GoldReward(train_prompts, tokenizer)
    rewards, trained, ppo_stats, gold_curves = {}, {}, {}, {}
    for judge in ("Poor RM", "Good RM"):
        name = f"{judge.replace(' ', '-')} policy"
        rewards[judge] = pipeline.reward_function(reward_models[judge], sft_lm, train_prompts)
        watched = Watched(rewards[judge], train_gold)
        gold_curves[name] = watched.gold_means  # grows while the policy trains
        with kit.ProgressBar(profile.ppo.steps, name) as bar:
            trained[name], ppo_stats[name] = pipeline.run_ppo(
                sft_lm, watched, train_prompts, on_step=bar
            )
        kit.save(trained[name], name, steps=ppo_stats[name], gold=gold_curves[name], reward={
            "mean": rewards[judge].mean, "std": rewards[judge].std,
            "missing_eos_penalty": profile.ppo.missing_eos_penalty,
        })
    kit.record("ppo", [
        {"policy": name, "step": step, **row, "gold": gold_curves[name][step]}
        for name, rows in ppo_stats.items() for step, row in enumerate(rows)
    ])

# %% [markdown]
# <!-- CLAIM good_reward_rises poor_reward_rises --> Both rewards rise: PPO does what it is told. Whether it was told the right thing is another question. Look at the replies.

# %%
if __name__ == "__main__":
    pipeline.needs("sft_lm", "trained", "shown")
    voices = {"SFT": sft_lm, **trained}
    said = {name: pipeline.generate(model, shown, greedy=True) for name, model in voices.items()}
    kit.show_conversations(shown, said, gold=True)

# %% [markdown]
# Talk to them yourself. Change the question, run the cell again; with `greedy=False` and another `seed` a model may answer
# in another way.

# %%
if __name__ == "__main__":
    pipeline.needs("sft_lm", "trained")
    question = "What does the dragon eat?"
    asked = [format_example({"instruction": question, "context": "", "response": ""})[0]]
    everyone = {"Base": base_lm, "SFT": sft_lm, **trained}
    said = {
        name: pipeline.generate(model, asked, greedy=True, seed=0)
        for name, model in everyone.items()
    }
    kit.show_conversations(asked, said)
