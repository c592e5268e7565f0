"""The support package of the RLHF lab. It holds everything but the slots: `import rlhf_kit as kit`."""

from __future__ import annotations

from .batching import IGNORE_INDEX, pad_sequences, preference_batches, sft_batches
from .checks import connect_grader
from .config import EvalConfig, PPOConfig, Profile, RMConfig, SFTConfig, get_profile, warmup_factor
from .conversations import one_of_each_kind, show_conversations
from .data import load_demonstrations, load_preferences, load_prompts
from .demo import answer, demo
from .environment import best_device, check_environment, seed_everything
from .export import export_submission
from .going_on import load_trainings
from .gold import GoldReward, gold_components, gold_reward
from .intervals import mean_interval
from .model_files import load, load_values, save, saved_models
from .models import (
    Policy,
    RewardModelBase,
    freeze,
    load_base_model,
    load_tokenizer,
    position_ids,
    trainable_copy,
)
from .needs import NotReadyError
from .pipeline import MissingSlotError, RLHFPipeline
from .plots import (
    plot_accuracy,
    plot_lengths,
    plot_loss,
    plot_overoptimisation,
    plot_policies,
    plot_ppo,
    smooth,
)
from .progress import ProgressBar, track
from .recorded import load_recorded_run
from .results import hyperparameter_log, record
from .sampling import EOS_ID, PAD_ID, Rollout, lay_out, rollout, sample
from .scoring import RewardFunction, score_sequences
from .stopping import Stopped

__all__ = [
    "EOS_ID",
    "IGNORE_INDEX",
    "PAD_ID",
    "EvalConfig",
    "GoldReward",
    "MissingSlotError",
    "NotReadyError",
    "PPOConfig",
    "Policy",
    "Profile",
    "ProgressBar",
    "RLHFPipeline",
    "RMConfig",
    "RewardFunction",
    "RewardModelBase",
    "Rollout",
    "SFTConfig",
    "Stopped",
    "answer",
    "best_device",
    "check_environment",
    "connect_grader",
    "demo",
    "export_submission",
    "freeze",
    "get_profile",
    "gold_components",
    "gold_reward",
    "hyperparameter_log",
    "lay_out",
    "load",
    "load_base_model",
    "load_demonstrations",
    "load_preferences",
    "load_prompts",
    "load_recorded_run",
    "load_tokenizer",
    "load_trainings",
    "load_values",
    "mean_interval",
    "one_of_each_kind",
    "pad_sequences",
    "plot_accuracy",
    "plot_lengths",
    "plot_loss",
    "plot_overoptimisation",
    "plot_policies",
    "plot_ppo",
    "position_ids",
    "preference_batches",
    "record",
    "rollout",
    "sample",
    "save",
    "saved_models",
    "score_sequences",
    "seed_everything",
    "sft_batches",
    "show_conversations",
    "smooth",
    "track",
    "trainable_copy",
    "warmup_factor",
]
