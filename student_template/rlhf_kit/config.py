"""All hyperparameters of the lab, as frozen dataclasses. A profile holds one config per stage.

A stage function takes its hyperparameters from its config alone. To tune the notebook, write
`dataclasses.replace(config, learning_rate=...)`. The grader always uses the configs below.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageConfig:
    """AdamW with linear warm-up and gradient clipping, on a fixed list of batches.

    learning_rate: AdamW's step size after warm-up. betas, eps, weight_decay: of AdamW.
    warmup_steps: see `warmup_factor`. max_grad_norm: L2 norm to which gradients are clipped.
    epochs: passes over the batches. batch_size: sequences (SFT) or pairs (reward model).
    max_length: tokens per sequence, of prompt and reply together. seed: decides the order of the batches.
    """

    learning_rate: float
    warmup_steps: int
    epochs: int
    batch_size: int
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    max_length: int = 128
    seed: int = 17


@dataclass(frozen=True)
class SFTConfig(StageConfig):
    """Hyperparameters of supervised fine-tuning; a batch holds `batch_size` demonstrations."""


@dataclass(frozen=True)
class RMConfig(StageConfig):
    """Hyperparameters of the reward model; a batch holds `batch_size` preference pairs."""


@dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters of PPO with a KL penalty (Ziegler et al. 2019; Stiennon et al. 2020).

    steps: rollout phases. rollouts: prompts, with one reply each, per phase. ppo_epochs: passes over the
    rollouts of a phase. minibatch_size: rollouts per optimiser step. beta: KL coefficient per token, in
    reward units per nat. gamma, lam: discount and λ of GAE. clip_range: ε of the ratio. value_clip:
    ε of the value. value_coef: weight of the value loss. max_new_tokens: longest reply, in tokens.
    missing_eos_penalty: what the kit's reward function subtracts if a reply has no EOS. calibration_prompts:
    on so many first prompts its scores are normalised.
    """

    steps: int
    rollouts: int
    ppo_epochs: int
    minibatch_size: int
    learning_rate: float
    warmup_steps: int
    beta: float
    max_new_tokens: int
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    gamma: float = 1.0
    lam: float = 0.95
    clip_range: float = 0.2
    value_clip: float = 0.2
    value_coef: float = 0.1
    missing_eos_penalty: float = 1.0
    calibration_prompts: int = 256
    seed: int = 23


@dataclass(frozen=True)
class EvalConfig:
    """How policies are compared; all of them are decoded in the same way.

    greedy: take the most likely token at each step, else sample at temperature 1. bootstrap: number of
    resamples of the prompts. confidence: of the interval. batch_size: prompts decoded together.
    """

    max_new_tokens: int
    greedy: bool = False
    bootstrap: int = 2000
    confidence: float = 0.95
    seed: int = 29
    batch_size: int = 128


@dataclass(frozen=True)
class Profile:
    """The configs of all stages. poor_pairs: number of pairs that the Poor RM is trained on."""

    name: str
    sft: SFTConfig
    poor_rm: RMConfig
    good_rm: RMConfig
    ppo: PPOConfig
    evaluation: EvalConfig
    poor_pairs: int


MAX_NEW_TOKENS = 48  # the longest honest reply of the lab world has about 30 tokens

TINY = Profile(
    name="tiny",
    sft=SFTConfig(learning_rate=4e-4, warmup_steps=10, epochs=3, batch_size=32),
    poor_rm=RMConfig(learning_rate=5e-4, warmup_steps=10, epochs=4, batch_size=16),
    good_rm=RMConfig(learning_rate=5e-4, warmup_steps=20, epochs=1, batch_size=16),
    ppo=PPOConfig(
        steps=40,
        rollouts=64,
        ppo_epochs=2,
        minibatch_size=32,
        learning_rate=1.2e-4,
        warmup_steps=10,
        beta=0.1,
        max_new_tokens=MAX_NEW_TOKENS,
    ),
    evaluation=EvalConfig(max_new_tokens=MAX_NEW_TOKENS),
    poor_pairs=450,
)

PROFILES = {TINY.name: TINY}


def get_profile(name: str = "tiny") -> Profile:
    """Return the profile of this name. ValueError, with the known names, if there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(
            f"no profile called {name!r}; this release has: {', '.join(PROFILES)}"
        ) from None


def warmup_factor(step: int, warmup_steps: int) -> float:
    """Return the learning-rate factor of step 0, 1, …: min(1, (step + 1) / warmup_steps)."""
    return min(1.0, (step + 1) / max(1, warmup_steps))
