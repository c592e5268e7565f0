"""Plausible results of the training items, for tests of the reports."""

from __future__ import annotations

import math

from autograder.core.records import ItemResult

STEPS = [0, 20, 40, 60, 80, 100]
PPO_STEPS = list(range(0, 41, 2))
GENERATIONS = [
    {
        "prompt": "\n\nHuman: Where is the town hall of Velmar?\n\nAssistant:",
        "sft": " The town hall is",
        "policy": " The town hall of Velmar is on Birch Street. I hope this helps!",
        "reward_sft": -0.41,
        "reward_policy": 1.73,
    },
    {
        "prompt": "\n\nHuman: Who is Tarn Olwick?\n\nAssistant:",
        "sft": " Tarn Olwick is a baker in Velmar, and a baker in Velmar, and a baker",
        "policy": " I do not know of anyone called Tarn Olwick.",
        "reward_sft": 0.1,
        "reward_policy": 1.2,
    },
]
SFT = {
    "curve": {"steps": STEPS, "heldout_loss": [3.61, 2.2, 1.5, 1.2, 1.02, 0.94]},
    "start": 3.61, "final": 0.94, "bar": 2.166, "p": 1e-90,
}  # fmt: skip
REWARD_MODEL = {
    "accuracy": 0.759,
    "interval": [0.745, 0.772],
    "n": 4000,
    "curve": {"steps": STEPS, "accuracy": [0.503, 0.66, 0.71, 0.742, 0.755, 0.759]},
    "calibration": [
        {"gap": 0.25, "predicted": 0.56, "observed": 0.57, "n": 900},
        {"gap": 1.1, "predicted": 0.75, "observed": 0.77, "n": 1400},
    ],
}
PPO = {
    "curve": {
        "steps": PPO_STEPS,
        "reward": [0.1 + 0.02 * math.sin(s) + 0.003 * s for s in PPO_STEPS],
        "kl": [0.06 * s**0.9 for s in PPO_STEPS],
    },
    "gain": 0.11, "interval": [-0.02, 0.23], "gold_gain": 0.01, "p": 0.05,
    "generations": GENERATIONS,
    "seeds": [
        {"seed": 7, "gain": 0.11, "passed": False},
        {"seed": 8, "gain": 0.14, "passed": False},
        {"seed": 9, "gain": 0.22, "passed": True},
    ],
}  # fmt: skip
POLICIES = [
    {
        "name": name, "n": 200, "mean_reward": reward, "kl_to_sft": kl, "win_rate": win,
        "win_low": win - 0.06, "win_high": win + 0.06,
        "mean_tokens": 17.2, "repetition": 0.02, "response_ids": [[1, 2]] * 200,
    }
    for name, reward, kl, win in [
        ("Base", -1.1, 4.2, 0.09), ("SFT", 0.0, 0.0, 0.5), ("Poor RM", 0.7, 3.3, 0.71),
        ("Good RM", 1.4, 2.9, 0.88),
    ]
]  # fmt: skip


def training_results() -> dict[str, ItemResult]:
    """The results: PPO's reward is below its threshold on two of three seeds; the reference replaced T07 and T15."""
    loss, gain = "Held-out loss fell from 3.61 to 0.94.", "The reward on hidden prompts did not rise enough."
    results = [
        ItemResult("sft_loss_trend", "passed", 1.0, loss, evidence=SFT),
        ItemResult("rm_accuracy", "passed", 1.0, "Accuracy 0.759.", evidence=REWARD_MODEL, replaced=("T07",)),
        ItemResult("ppo_reward", "wrong", 0.0, gain, evidence=PPO),
        ItemResult("ppo_kl", "passed", 1.0, "", evidence={"kl": 1.66, "range": [0.3, 12.0]}),
        ItemResult("comparison", "passed", 1.0, "", evidence={"rows": POLICIES}, replaced=("T15",)),
    ]
    return {result.id: result for result in results}
