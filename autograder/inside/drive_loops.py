"""Drivers of the training loops T05, T09 and T14, on small models of which the grader can replay every update.

The loop is recorded from outside: the weights by a hook on the steps of all optimisers, the batch in use by a hook on
the model's forward, and rollouts by the reward function that the loop has to call.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

import rlhf_kit as kit
from rlhf_kit.table_models import BigramLM, BigramPolicy, LastTokenReward

from .drive_models import TableScore
from .drive_values import ppo_config
from .driver_table import driver
from .returned import ReturnedNoneError, ReturnedValues, field, scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_UPDATES = 400  # most snapshots that are kept, far more than any case asks for
STATS = ("reward", "kl", "policy_loss", "value_loss")


class UpdateRecorder:
    """Records the parameters after each optimiser step, and each call of `on_step`."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.updates = 0
        self.snapshots: dict[str, list[Tensor]] = {name: [] for name, _ in model.named_parameters()}
        self.callbacks: list[tuple[int, int]] = []
        self.reported: list[Any] = []
        self.after_update: Callable[[], None] = lambda: None

    def on_step(self, step: Any, what: Any = None) -> None:
        """Record a call of the loop's callback: (step, updates so far), and the loss or statistics that it passes."""
        self.callbacks.append((int(step), self.updates))
        self.reported.append(what)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record optimiser steps while the loop runs."""
        handle = register_optimizer_step_post_hook(self._after_step)
        try:
            yield
        finally:
            handle.remove()

    def _after_step(self, *_: Any) -> None:
        self.updates += 1
        self.after_update()
        if self.updates <= MAX_UPDATES:
            for name, parameter in self.model.named_parameters():
                self.snapshots[name].append(parameter.detach().clone())

    def write(self, returned: ReturnedValues) -> None:
        """Write the parameters after each update as "after:<name>" (updates, …), the final ones as "final:<name>"."""
        returned.values["updates"] = self.updates
        returned.values["callbacks"] = [list(call) for call in self.callbacks]
        for name, parameter in self.model.named_parameters():
            if self.snapshots[name]:
                returned.add_array(f"after:{name}", torch.stack(self.snapshots[name]))
            returned.add_array(f"final:{name}", parameter)


@driver("T05")
def train_sft(function: Any, args: dict[str, Any], tensors: dict[str, Tensor], returned: ReturnedValues) -> None:
    """Run T05 on a BigramLM."""
    _supervised(function, BigramLM(tensors["start:weight"]), kit.SFTConfig, args, tensors, returned)


@driver("T09")
def train_reward_model(
    function: Any, args: dict[str, Any], tensors: dict[str, Tensor], returned: ReturnedValues
) -> None:
    """Run T09 on a LastTokenReward."""
    model = LastTokenReward(tensors["start:transformer.weight"], tensors["start:score.weight"].item())
    _supervised(function, model, kit.RMConfig, args, tensors, returned)


def _supervised(
    function: Any,
    model: nn.Module,
    config: Any,
    args: dict[str, Any],
    tensors: dict[str, Tensor],
    returned: ReturnedValues,
) -> None:
    """Run a loop over batches. "order" records which batch the model saw last before each update."""
    batches = _batches(tensors, args["batches"])
    recorder, seen = UpdateRecorder(model.train()), _FirstRows(batches)
    order: list[int] = []
    recorder.after_update = lambda: order.append(seen.last)
    model.register_forward_pre_hook(seen, with_kwargs=True)
    given = config(**{**args["config"], "betas": tuple(args["config"]["betas"])})
    with recorder.running():
        losses = function(model, batches, given, recorder.on_step)
    if losses is None and recorder.updates == 0:
        raise ReturnedNoneError
    recorder.write(returned)
    returned.values["order"] = order
    if losses is not None:
        returned.add_array("losses", _floats(losses))
    returned.add_array("told", _floats(recorder.reported))


def _batches(tensors: dict[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    return [
        {name.removeprefix(f"batch{i}:"): x for name, x in tensors.items() if name.startswith(f"batch{i}:")}
        for i in range(count)
    ]


def _floats(values: Any) -> Tensor:
    """Convert a list of losses, each a float or a tensor, to one row of numbers."""
    found = [scalar(value) for value in values]
    return torch.stack([x.detach().double() for x in found]) if found else torch.zeros(0)


class _FirstRows:
    """A forward hook that identifies the batch in use by the attended tokens of its first row."""

    def __init__(self, batches: list[dict[str, Tensor]]) -> None:
        self.last = -1
        self.known: dict[tuple[int, ...], int] = {}
        for i, batch in enumerate(batches):
            for prefix in ("", "chosen_", "rejected_"):
                if f"{prefix}input_ids" in batch:
                    self.known[_row(batch[f"{prefix}input_ids"], batch[f"{prefix}attention_mask"])] = i

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        if isinstance(ids, Tensor) and ids.dim() == 2 and len(ids):
            mask = mask if isinstance(mask, Tensor) else torch.ones_like(ids)
            self.last = self.known.get(_row(ids, mask), self.last)


def _row(ids: Tensor, mask: Tensor) -> tuple[int, ...]:
    return tuple(ids[0][mask[0].bool()].tolist())


@driver("T14")
def train_ppo(function: Any, args: dict[str, Any], tensors: dict[str, Tensor], returned: ReturnedValues) -> None:
    """Run T14 on a BigramPolicy and record rollouts, the parameters after each update, and the statistics."""
    policy = BigramPolicy(tensors["policy"], tensors["values"], args.get("dropout", 0.0)).eval()
    reference = kit.freeze(BigramLM(tensors["reference"]))
    score = TableScore(tensors["tokens"], tensors["start"])
    recorder = UpdateRecorder(policy)
    rolled: list[dict[str, Any]] = []

    def reward_fn(prompt_ids: Any, response_ids: Any) -> Tensor:
        found = score(prompt_ids, response_ids)
        prompts, replies = score.calls[-1]
        rolled.append({"prompts": prompts, "replies": replies, "updates": recorder.updates})
        return found

    prompts = [list(p) for p in args["prompts"]]
    with recorder.running():
        stats = function(policy, reference, reward_fn, prompts, ppo_config(args["config"]), recorder.on_step)
    if stats is None and recorder.updates == 0:
        raise ReturnedNoneError
    recorder.write(returned)
    returned.values["rolled"] = rolled
    returned.add_array("reference", reference.weight)
    stats = list(stats or [])
    returned.values["stats"] = len(stats)
    for name in STATS:
        if stats and all(field(row, name) is not None for row in stats):
            returned.add_array(f"stat:{name}", [scalar(field(row, name)) for row in stats])
