"""The grader's models and data: base and reference weights, on-policy replies, and the world that they belong to.

``python -m assignment.lab reference`` writes them to ``autograder/reference/data/``. The sha256 sums of the manifest
are checked before a file is read. Students never receive them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

import rlhf_kit as kit
from assignment.lab.folders import REFERENCE
from assignment.lab.onpolicy import Pool
from assignment.lab.prompts import Question
from assignment.lab.world import World
from rlhf_kit.models import BASE_MODEL
from rlhf_kit.packed import PackedGPT2LMHeadModel

if TYPE_CHECKING:
    from pathlib import Path

TIED = "lm_head.weight"
State = dict[str, Tensor]
PolicyName = Literal["sft", "policy_poor", "policy_good"]
ARCHITECTURE = (
    "vocab_size",
    "n_positions",
    "n_embd",
    "n_layer",
    "n_head",
    "n_inner",
    "activation_function",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "layer_norm_epsilon",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)


class ArtefactError(RuntimeError):
    """The reference artefacts are missing or damaged: an error of the grader. The message says how to make them."""


class TrustedRewardModel(kit.RewardModelBase):
    """The grader's reward model. Its head scores the last attended token, on whichever side the padding is."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score sequences: (B, T), (B, T) -> (B,)."""
        positions = kit.position_ids(attention_mask)
        hidden = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False
        ).last_hidden_state
        order = torch.arange(1, input_ids.shape[1] + 1, device=input_ids.device)
        last = (order * attention_mask.long()).argmax(dim=1)
        scores: Tensor = self.score(hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2]))).reshape(-1)
        return scores


@dataclass(frozen=True)
class Reference:
    """Everything that training tests start from. Weights are float32 state dicts on the CPU.

    reward_mean, reward_std: of the Good RM's raw scores, by which its reward is normalised. key: sha256 over the
    manifests, which changes with any artefact.
    """

    config: GPT2Config
    tokenizer: PreTrainedTokenizerBase
    world: World
    base: State
    sft: State
    rm_good: State
    policy_poor: State
    policy_good: State
    reward_mean: float
    reward_std: float
    folder: Path
    key: str

    @property
    def architecture(self) -> dict[str, Any]:
        """Return the GPT-2 architecture as JSON values, from which the worker builds the model."""
        return {name: getattr(self.config, name) for name in ARCHITECTURE}

    def language_model(self, state: State) -> GPT2LMHeadModel:
        """Return a frozen language model with these weights (without the tied output embedding)."""
        model: GPT2LMHeadModel = PackedGPT2LMHeadModel(self.config)
        _copy_weights(model, state)
        return kit.freeze(model)

    def reward_model(self, state: State) -> TrustedRewardModel:
        """Return a frozen reward model with these weights."""
        model = TrustedRewardModel(PackedGPT2LMHeadModel(self.config))
        _copy_weights(model, state)
        return kit.freeze(model)

    @cached_property
    def fresh_reward_state(self) -> State:
        """Return the weights that every reward model starts from: the SFT body and the kit's seeded head."""
        return dict(kit.RewardModelBase.from_lm(self.language_model(self.sft)).state_dict())

    def pool(self, split: Literal["train", "heldout"]) -> Pool:
        """Return the stored on-policy replies of a split, which are read once."""
        return self._pools[split]

    @cached_property
    def _pools(self) -> dict[str, Pool]:
        return {split: _read_pool(self.folder / f"replies_{split}.jsonl.gz") for split in ("train", "heldout")}


def load_reference(folder: Path = REFERENCE, base: Path = BASE_MODEL) -> Reference:
    """Read and check the artefacts.

    Raises:
        ArtefactError: a file is missing, or differs from what its manifest says.
    """
    facts, base_facts = checked_manifest(folder), checked_manifest(base)
    if facts["world"] != base_facts["world"]:
        raise ArtefactError(
            f"{folder} belongs to world {facts['world']}, the base model to world {base_facts['world']}: "
            f"run `python -m assignment.lab reference --seed {base_facts['world']}`"
        )
    reward = json.loads((folder / "reward.json").read_text())
    states = {
        name: read_state(folder / f"{name}.safetensors") for name in ("sft", "rm_good", "policy_poor", "policy_good")
    }
    digest = hashlib.sha256(json.dumps([facts, base_facts], sort_keys=True).encode()).hexdigest()
    return Reference(
        config=GPT2Config.from_pretrained(base),
        tokenizer=kit.load_tokenizer(base),
        world=World.from_seed(facts["world"]),
        base=read_state(base / "model.safetensors"),
        **states,
        reward_mean=float(reward["mean"]),
        reward_std=float(reward["std"]),
        folder=folder,
        key=digest,
    )


def checked_manifest(folder: Path) -> dict[str, Any]:
    """Read an artefact folder's manifest and compare every file with its sha256.

    Raises:
        ArtefactError: there is no manifest, or a file is missing or changed.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        for name, expected in facts["sha256"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                raise ArtefactError(f"{folder / name} is not the file that its manifest names: make it again")
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"{folder} is not complete ({type(error).__name__}: {error}); make it with `python -m assignment.lab world`"
        ) from error
    return facts


def read_state(path: Path) -> State:
    """Read weights as float32, without the tied output embedding."""
    return {name: x.float() for name, x in load_safetensors(path.read_bytes()).items() if name != TIED}


def _copy_weights(model: torch.nn.Module, state: State) -> None:
    """Copy weights into a model. Raises KeyError or RuntimeError if names or shapes differ from the model's."""
    with torch.no_grad():
        for name, parameter in model.state_dict().items():
            if name != TIED:
                parameter.copy_(state[name])


def _read_pool(path: Path) -> Pool:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return Pool(tuple(Question(**row["ask"]) for row in rows), tuple(tuple(row["replies"]) for row in rows))
