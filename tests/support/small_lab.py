"""A lab small enough for tests: random models of one layer, few rows, and a session without a sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from assignment.lab.draw import template_candidates
from assignment.lab.folders import write_manifest
from assignment.lab.ship import write_rows
from assignment.lab.world import World
from assignment.registry import Spec, load_spec
from assignment.release.source import reference_prelude, reference_source
from autograder.core.records import Answer, Answers, ItemResult
from autograder.inside.child import to_numpy
from autograder.inside.namespace import Namespace
from autograder.inside.operations import OPS, load_ops
from autograder.inside.outcome import classify
from autograder.reference.models import Reference, load_reference
from autograder.sandbox import UNSAFE, Reply, SandboxError
from autograder.sandbox.protocol import AnyTensors, ProtocolError, TensorSpec
from autograder.training.stage import Lab

WIDTH = 32


def write_artefacts(folder: Path) -> tuple[Path, Path]:
    """(reference folder, base folder) with random weights of a one-layer model and the real tokenizer."""
    base, reference = folder / "base", folder / "reference"
    base.mkdir()
    reference.mkdir()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(kit.load_tokenizer()),
        n_positions=160,
        n_embd=WIDTH,
        n_layer=1,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    lm = GPT2LMHeadModel(config)
    lm.save_pretrained(base)
    kit.load_tokenizer().save_pretrained(base)
    write_manifest(base, world=7)
    for name, module in (
        ("sft", lm),
        ("rm_good", kit.RewardModelBase.from_lm(lm)),
        ("policy_poor", GPT2LMHeadModel(config)),
        ("policy_good", GPT2LMHeadModel(config)),
    ):
        state = {k: v.half().contiguous() for k, v in module.state_dict().items() if k != "lm_head.weight"}
        save_file(state, reference / f"{name}.safetensors")
    (reference / "reward.json").write_text(json.dumps({"mean": 0.0, "std": 0.1}))
    for split in ("train", "heldout"):
        rows = template_candidates(World.from_seed(7), "grader", split, 300, "pool")
        write_rows(
            reference / f"replies_{split}.jsonl.gz",
            ({"ask": asdict(one.ask), "replies": [one.first, one.second]} for one in rows),
        )
    write_manifest(reference, world=7)
    return reference, base


def small_spec() -> Spec:
    """The registry with fewer hidden rows, and bars that a one-layer model can reach."""
    spec = load_spec()
    bars = spec.thresholds("tiny")
    bars = bars.model_copy(
        update={
            "sft_loss_trend": bars.sft_loss_trend.model_copy(
                update={"examples": 40, "final_ratio_max": 0.9, "prompt_rise_min": -9.0, "padding_min": 0.0}
            ),
            "rm_accuracy": bars.rm_accuracy.model_copy(
                update={"pairs": 60, "lower_bound_min": 0.3, "style_min": -9.0, "exchange_min": 0.0}
            ),
            "ppo_reward": bars.ppo_reward.model_copy(update={"prompts": 24, "style_min": -9.0}),
            "ppo_kl": bars.ppo_kl.model_copy(update={"prompts": 24, "min": 0.0}),
            "comparison": bars.comparison.model_copy(update={"prompts": 16, "rlhf_gain_min": -9.0}),
        }
    )
    return spec.model_copy(update={"threshold_table": {"tiny": bars}})


def small_profile() -> kit.Profile:
    """The tiny profile with a handful of steps."""
    profile = kit.get_profile("tiny")
    return replace(
        profile,
        sft=replace(profile.sft, learning_rate=1e-2, warmup_steps=1, epochs=2, batch_size=16),
        good_rm=replace(profile.good_rm, learning_rate=1e-2, warmup_steps=1, batch_size=8),
        ppo=replace(
            profile.ppo,
            steps=3,
            rollouts=8,
            minibatch_size=4,
            learning_rate=1e-3,
            warmup_steps=1,
            max_new_tokens=6,
        ),
        evaluation=replace(profile.evaluation, max_new_tokens=6, bootstrap=500),
    )


def small_lab(folder: Path) -> Lab:
    """A Lab on artefacts written into `folder`."""
    reference: Reference = load_reference(*write_artefacts(folder))
    return Lab(reference, small_spec(), small_profile())


def reference_answers(**changes: str) -> Answers:
    """The reference as a submission; keywords replace the sources of slots."""
    spec = load_spec()
    ids = [slot.id for slot in spec.slots]
    slots = {
        id_: Answer(id_, "present", changes.get(id_) or reference_source(id_), cell=i)
        for i, id_ in enumerate(ids)
    }
    return Answers(reference_prelude(ids), slots)


def all_passed(**changes: str) -> dict[str, ItemResult]:
    """Results of all slot tests: passed, except those named with their status."""
    return {
        slot.id: ItemResult(slot.id, changes.get(slot.id, "passed"), 1.0, "") for slot in load_spec().slots
    }  # type: ignore[arg-type]


class LocalSession:
    """Answers as a WorkerSession does, in this process: for code that tests trust."""

    def __init__(self) -> None:
        load_ops()
        self.calls: list[str] = []
        self.device, self.tier, self.seed = "cpu", UNSAFE, 0
        self.seeds: list[int] = []  # one a call

    def __enter__(self) -> LocalSession:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""

    def prewarm(self) -> None:
        """Ready."""

    def another(self) -> LocalSession:
        """There is one process, with one torch in it."""
        raise SandboxError("no second session in one process")

    def call(
        self,
        op: str,
        payload: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray] = {},
        *,
        limits: Any,
        expect: Any = None,
        on_progress: Any = None,
    ) -> Reply:
        """Run the operation here; the reply's tensors are held against `expect`."""
        self.calls.append(op)
        self.seeds.append(self.seed)
        sent = json.loads(json.dumps(payload))
        weights = {name: torch.from_numpy(x.copy()) for name, x in tensors.items()}
        try:
            data, out = OPS[op](Namespace(sent["code"]), sent, weights, on_progress or (lambda record: None))
        except Exception as error:
            kind, data, text = classify(error)
            return Reply(False, kind, data, error=text)
        arrays = {name: to_numpy(x) for name, x in out.items()}
        try:
            check_manifest(arrays, expect(data) if callable(expect) else expect)
        except ProtocolError as error:
            return Reply(False, "invalid", error=str(error))
        return Reply(True, "answered", data, arrays, wall_s=1.0)


def check_manifest(arrays: Mapping[str, np.ndarray], expect: Mapping[str, TensorSpec] | AnyTensors | None) -> None:
    """ProtocolError unless names, dtypes and shapes are those expected."""
    found = {name: TensorSpec(x.dtype.name, x.shape) for name, x in arrays.items()}
    if not isinstance(expect, AnyTensors) and found != dict(expect or {}):
        raise ProtocolError("tensors differ from the manifest")
