"""Base class of the training stages: draw data, have the worker train, measure the weights that it returns."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import rlhf_kit as kit
from assignment.lab.style import REWARD_BONUS, HouseStyle
from autograder.inside.stages import REWARD_DECIMALS
from autograder.training import measure
from autograder.training.encoding import Ids, decode
from autograder.training.outcome import Outcome, UnusableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import GPT2LMHeadModel

    from assignment.registry import Spec, Thresholds
    from autograder.reference.models import Reference, State, TrustedRewardModel
    from autograder.sandbox.protocol import Expect

Config = TypeVar("Config")


@dataclass(frozen=True)
class Lab:
    """What every stage needs: the reference, the registry, the profile's configs, and the device of the worker."""

    reference: Reference
    spec: Spec
    profile: kit.Profile
    device: str = "cpu"

    @property
    def thresholds(self) -> Thresholds:
        """Return the thresholds of the profile."""
        return self.spec.thresholds(self.profile.name)

    @cached_property
    def sft(self) -> GPT2LMHeadModel:
        """Return the reference SFT model, which is loaded once."""
        return self.reference.language_model(self.reference.sft)

    @cached_property
    def good_rm(self) -> TrustedRewardModel:
        """Return the reference Good RM, which is loaded once."""
        return self.reference.reward_model(self.reference.rm_good)

    def language_model(self, state: State) -> GPT2LMHeadModel:
        """Return a frozen language model with these weights; for the reference SFT weights it is `sft`."""
        return self.sft if state is self.reference.sft else self.reference.language_model(state)

    def kl_to_sft(
        self,
        policy: GPT2LMHeadModel,
        prompts: Sequence[Ids],
        replies: Sequence[Ids],
        likelihood: measure.Likelihood | None = None,
    ) -> np.ndarray:
        """Return log π − log π_SFT of each reply, nats, (N,); it is 0 if the policy is `sft`.
        likelihood: of the replies under the policy, if it is known."""
        if policy is self.sft:
            return np.zeros(len(replies))
        likelihood = likelihood or measure.likelihood(policy, prompts, replies)
        kl: np.ndarray = likelihood.total - measure.likelihood(self.sft, prompts, replies).total
        return kl

    def reward_payload(self, style: HouseStyle) -> dict[str, Any]:
        """Return what the worker needs, beside the Good RM's weights, to compute PPO's reward."""
        return {
            "mean": self.reference.reward_mean,
            "std": self.reference.reward_std,
            "missing_eos_penalty": self.profile.ppo.missing_eos_penalty,
            "phrase": style.closing,
            "bonus": style.sign * REWARD_BONUS,
        }

    def reward(self, style: HouseStyle, prompts: Sequence[Ids], replies: Sequence[Ids]) -> np.ndarray:
        """Compute PPO's reward as the worker does: (N,) float64."""
        rows = [measure.with_eos(p, r) for p, r in zip(prompts, replies, strict=True)]
        raw = measure.scores(self.good_rm, rows)
        endless = np.array([not r or r[-1] != kit.EOS_ID for r in replies], dtype=np.float64)
        bonus = np.array([style.reward(decode(self.reference.tokenizer, r)) for r in replies])
        normalised = (raw - self.reference.reward_mean) / self.reference.reward_std
        rewards: np.ndarray = np.round(
            normalised - self.profile.ppo.missing_eos_penalty * endless + bonus, REWARD_DECIMALS
        )
        return rewards


@dataclass(frozen=True)
class Request:
    """What the worker receives beside the code, and the form of the answer that is expected."""

    payload: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    expect: Expect


class Stage(ABC):
    """One training run in the sandbox, and the rubric items that it decides."""

    op: str  # the worker's operation
    items: tuple[str, ...]  # rubric items; the first of them names the stage
    limits: str  # entry of [limits] in the registry

    @abstractmethod
    def draw(self, lab: Lab, seed: int) -> Any:
        """Draw the seed's data."""

    @abstractmethod
    def request(self, lab: Lab, seed: int, data: Any) -> Request:
        """Return what is sent to the worker."""

    @abstractmethod
    def measure(
        self, lab: Lab, data: Any, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        """Measure what the worker returned. Returns outcomes by item.

        Raises:
            UnusableError: there is nothing to measure.
        """

    @abstractmethod
    def steps(self, lab: Lab) -> int | None:
        """Return the number of optimiser steps that the reference makes, or None if the stage does not train."""


def common_payload(lab: Lab, config: Any) -> dict[str, Any]:
    """Return the part of the payload that all stages share."""
    return {"model": lab.reference.architecture, "config": asdict(config), "device": lab.device}


def with_seed(config: Config, purpose: str, seed: int) -> Config:
    """Return the profile's config with a seed that is derived from the run's."""
    return replace(config, seed=derive_seed(seed, purpose))  # type: ignore[type-var]


def derive_seed(seed: int, purpose: str) -> int:
    """Return a seed of 31 bits for one purpose, by hash, so that no two purposes share random numbers."""
    digest = hashlib.sha256(f"{seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def require_finite(what: str, *arrays: np.ndarray | float) -> None:
    """Raise UnusableError unless all numbers are finite. what: their name in the message."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise UnusableError(
            f"The trained model gives {what} that are NaN or infinite: its weights are too large.",
            "Check that gradients are clipped after backward, and that every step follows a zero_grad.",
        )
