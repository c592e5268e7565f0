"""A small lab for tests: random models of one layer, few rows, and a session without a sandbox."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from assignment.lab.draw import written_candidates
from assignment.lab.folders import write_manifest
from assignment.lab.ship import write_rows
from assignment.lab.world import Partition, World
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

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

WIDTH = 32


def write_artefacts(folder: Path) -> tuple[Path, Path]:
    """Write random weights of a one-layer model and the real tokenizer. Returns (reference folder, base folder)."""
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
        rows = written_candidates(Partition(World.from_seed(7), "grader", split), 300, "pool")
        write_rows(
            reference / f"replies_{split}.jsonl.gz",
            ({"ask": asdict(one.question), "replies": [one.first, one.second]} for one in rows),
        )
    write_manifest(reference, world=7)
    return reference, base


def small_spec() -> Spec:
    """Return the registry with fewer hidden rows and with thresholds that a one-layer model can reach."""
    spec = load_spec()
    full = spec.thresholds("tiny")
    thresholds = full.model_copy(
        update={
            "sft_loss_trend": full.sft_loss_trend.model_copy(
                update={"examples": 40, "final_ratio_max": 0.9, "prompt_rise_min": -9.0, "padding_min": 0.0}
            ),
            "rm_accuracy": full.rm_accuracy.model_copy(
                update={"pairs": 60, "lower_bound_min": 0.3, "style_min": -9.0, "exchange_min": 0.0}
            ),
            "ppo_reward": full.ppo_reward.model_copy(update={"prompts": 24, "style_min": -9.0}),
            "ppo_kl": full.ppo_kl.model_copy(update={"prompts": 24, "min": 0.0}),
            "comparison": full.comparison.model_copy(update={"prompts": 16, "rlhf_gain_min": -9.0}),
        }
    )
    return spec.model_copy(update={"threshold_table": {"tiny": thresholds}})


def small_profile() -> kit.Profile:
    """Return the tiny profile with a few steps."""
    profile = kit.get_profile("tiny")
    return replace(
        profile,
        sft=replace(profile.sft, learning_rate=1e-2, warmup_steps=1, epochs=2, batch_size=16),
        good_rm=replace(profile.good_rm, learning_rate=1e-2, warmup_steps=1, batch_size=8),
        ppo=replace(
            profile.ppo, steps=3, rollouts=8, minibatch_size=4, learning_rate=1e-3, warmup_steps=1, max_new_tokens=6
        ),
        evaluation=replace(profile.evaluation, max_new_tokens=6, bootstrap=500),
    )


def small_lab(folder: Path) -> Lab:
    """Return a lab on artefacts that are written into `folder`."""
    reference: Reference = load_reference(*write_artefacts(folder))
    return Lab(reference, small_spec(), small_profile())


def reference_answers(**changes: str) -> Answers:
    """Return the reference as a submission. Keywords replace the sources of slots."""
    spec = load_spec()
    ids = [slot.id for slot in spec.slots]
    slots = {
        id_: Answer(id_, "present", changes.get(id_) or reference_source(id_), cell=i) for i, id_ in enumerate(ids)
    }
    return Answers(reference_prelude(ids), slots)


def all_passed(**changes: str) -> dict[str, ItemResult]:
    """Return results of all slot tests: passed, except those that are given with their status."""
    return {slot.id: ItemResult(slot.id, changes.get(slot.id, "passed"), 1.0, "") for slot in load_spec().slots}  # type: ignore[arg-type]


class LocalSession:
    """A WorkerSession that runs trusted code in this process."""

    def __init__(self) -> None:
        load_ops()
        self.calls: list[str] = []
        self.device, self.tier, self.seed = "cpu", UNSAFE, 0
        self.seeds: list[int] = []  # of each call

    def __enter__(self) -> LocalSession:
        return self

    def __exit__(self, *error: object) -> None:
        """End nothing: there is no process."""

    def prewarm(self) -> None:
        """Do nothing: the process is ready."""

    def another(self) -> LocalSession:
        """Refuse: there is one process with one PyTorch."""
        raise SandboxError("no second session in one process")

    def call(
        self,
        op: str,
        payload: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray] = {},
        *,
        expect: Any = None,
        on_progress: Any = None,
        **_limits: Any,
    ) -> Reply:
        """Run the operation here, and check the tensors of its reply against `expect`."""
        self.calls.append(op)
        self.seeds.append(self.seed)
        sent = json.loads(json.dumps(payload))
        weights = {name: torch.from_numpy(x.copy()) for name, x in tensors.items()}
        try:
            data, out = OPS[op](Namespace(sent["code"]), sent, weights, on_progress or (lambda _: None))
        except Exception as error:  # noqa: BLE001  # as in the worker, any exception is an answer
            kind, data, text = classify(error)
            return Reply(False, kind, data, error=text)
        arrays = {name: to_numpy(x) for name, x in out.items()}
        try:
            check_manifest(arrays, expect(data) if callable(expect) else expect)
        except ProtocolError as error:
            return Reply(False, "invalid", error=str(error))
        return Reply(True, "answered", data, arrays, wall_s=1.0)


def check_manifest(arrays: Mapping[str, np.ndarray], expect: Mapping[str, TensorSpec] | AnyTensors | None) -> None:
    """Raise ProtocolError unless names, dtypes and shapes are as expected."""
    found = {name: TensorSpec(x.dtype.name, x.shape) for name, x in arrays.items()}
    if not isinstance(expect, AnyTensors) and found != dict(expect or {}):
        raise ProtocolError("tensors differ from the manifest")
