"""The frame of a training test: draw data, ask the worker to train, measure what comes back."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from transformers import GPT2LMHeadModel

import rlhf_kit as kit
from assignment.lab.style import REWARD_BONUS, HouseStyle
from assignment.registry import Spec, Thresholds
from autograder.inside.stages import REWARD_DECIMALS
from autograder.reference.models import Reference, State, TrustedRewardModel
from autograder.sandbox.protocol import Expect
from autograder.training import measure
from autograder.training.encoding import Ids, decode
from autograder.training.outcome import Outcome, Unusable

Config = TypeVar("Config")


@dataclass(frozen=True)
class Lab:
    """What every stage needs: reference, registry, configs and the device that the worker trains on."""

    reference: Reference
    spec: Spec
    profile: kit.Profile
    device: str = "cpu"

    @property
    def bars(self) -> Thresholds:
        """Thresholds of this profile."""
        return self.spec.thresholds(self.profile.name)

    @cached_property
    def sft(self) -> GPT2LMHeadModel:
        """The reference SFT model."""
        return self.reference.language_model(self.reference.sft)

    @cached_property
    def judge(self) -> TrustedRewardModel:
        """The reference Good RM."""
        return self.reference.reward_model(self.reference.rm_good)

    def language_model(self, state: State) -> GPT2LMHeadModel:
        """A frozen language model with these weights; for SFT's own the one that is there."""
        return self.sft if state is self.reference.sft else self.reference.language_model(state)

    def kl_to_sft(
        self,
        policy: GPT2LMHeadModel,
        prompts: Sequence[Ids],
        replies: Sequence[Ids],
        own: measure.Likelihood | None = None,
    ) -> np.ndarray:
        """Nats by which each of a policy's replies is likelier under it than under SFT, (N,): 0 for SFT itself.
        own: the replies' likelihood under the policy, where it is known."""
        if policy is self.sft:
            return np.zeros(len(replies))
        own = own or measure.likelihood(policy, prompts, replies)
        return own.total - measure.likelihood(self.sft, prompts, replies).total

    def given(self, style: HouseStyle) -> dict[str, Any]:
        """The reward that PPO is given, as the worker's payload."""
        return {
            "mean": self.reference.reward_mean,
            "std": self.reference.reward_std,
            "missing_eos_penalty": self.profile.ppo.missing_eos_penalty,
            "phrase": style.closing,
            "bonus": style.sign * REWARD_BONUS,
        }

    def reward(self, style: HouseStyle, prompts: Sequence[Ids], replies: Sequence[Ids]) -> np.ndarray:
        """The same reward, computed here: (N,) float64."""
        rows = [measure.with_eos(p, r) for p, r in zip(prompts, replies, strict=True)]
        raw = measure.scores(self.judge, rows)
        endless = np.array([not r or r[-1] != kit.EOS_ID for r in replies], dtype=np.float64)
        bonus = np.array([style.reward(decode(self.reference.tokenizer, r)) for r in replies])
        normalised = (raw - self.reference.reward_mean) / self.reference.reward_std
        return np.round(normalised - self.profile.ppo.missing_eos_penalty * endless + bonus, REWARD_DECIMALS)


@dataclass(frozen=True)
class Request:
    """What the worker is sent beside the code, and the answer that is expected."""

    payload: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    expect: Expect


class Stage(ABC):
    """One training run in the sandbox and the rubric items that it decides."""

    op: str  # the worker's operation
    items: tuple[str, ...]  # rubric items, the first one names the stage
    limits: str  # entry of the registry's [limits]

    @abstractmethod
    def draw(self, lab: Lab, seed: int) -> Any:
        """The seed's data."""

    @abstractmethod
    def request(self, lab: Lab, seed: int, data: Any) -> Request:
        """What is sent."""

    @abstractmethod
    def measure(
        self, lab: Lab, seed: int, data: Any, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        """Verdicts by item. Raises Unusable if there is nothing to measure."""

    def steps(self, lab: Lab) -> int | None:
        """Optimiser steps that the reference makes; None if the stage trains nothing."""
        return None


def base_payload(lab: Lab, config: Any) -> dict[str, Any]:
    """What every stage's payload holds."""
    return {"model": lab.reference.architecture, "config": asdict(config), "device": lab.device}


def seeded(config: Config, name: str, seed: int) -> Config:
    """The profile's config with the random seed of this run."""
    return replace(config, seed=derived(seed, name))  # type: ignore[type-var]


def derived(seed: int, purpose: str) -> int:
    """A seed for one purpose, 31 bits, by hash: no two purposes share random numbers."""
    digest = hashlib.sha256(f"{seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def finite(what: str, *arrays: np.ndarray | float) -> None:
    """Raise Unusable unless all numbers are finite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise Unusable(
            f"The trained model gives {what} that are NaN or infinite: its weights are too large.",
            "Check that gradients are clipped after backward, and that every step follows a zero_grad.",
        )
