"""Drivers of the slots that need models but train none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from rlhf_kit.table_models import BigramPolicy

from .driver_table import driver
from .returned import ReturnedNoneError, ReturnedValues, field, ids, scalar, tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_LAYERS = ("score.weight", "score.bias", "transformer.ln_f.weight", "transformer.ln_f.bias")
COLUMNS = ("mean_reward", "kl_to_sft", "win_rate", "win_low", "win_high", "mean_tokens", "repetition")


@driver("T06")
def reward_model(cls: Any, args: dict[str, Any], tensors: dict[str, Tensor], returned: ReturnedValues) -> None:
    """Call T06 on one batch and record the scores and, for the last layers, the gradients of their weighted sum.

    The student's class builds the model, which then gets the grader's parameters. `values["state"]` records the names
    and shapes of the parameters that it had.
    """
    torch.manual_seed(0)
    model = cls.from_lm(GPT2LMHeadModel(GPT2Config(**args["model"]))).eval()
    returned.values["state"] = {name: list(x.shape) for name, x in model.state_dict().items()}
    given = {name.removeprefix("state."): x for name, x in tensors.items() if name.startswith("state.")}
    fits = {name: x for name, x in given.items() if returned.values["state"].get(name) == list(x.shape)}
    model.load_state_dict(fits, strict=False)
    scores = model(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"])
    scores = tensor(scores)
    returned.add_array("scores", scores)
    if scores.shape == tensors["weights"].shape and scores.requires_grad:
        (scores * tensors["weights"]).sum().backward()
    parameters = dict(model.named_parameters())
    for name in LAST_LAYERS:
        if name in parameters:
            returned.add_gradient(f"gradient:{name}", parameters[name])


class TableScore:
    """Scores replies by score(prompt, reply) = Σ_t tokens[reply_t] + start[last prompt token, first reply token].

    tokens is (V,), start (V, V). `calls` keeps the prompts and replies of each call as lists of ints.
    """

    def __init__(self, tokens: Tensor, start: Tensor) -> None:
        self.tokens, self.start = tokens.double(), start.double()
        self.calls: list[tuple[list[list[int]], list[list[int]]]] = []

    def __call__(self, prompt_ids: Sequence[Sequence[int]], response_ids: Sequence[Sequence[int]]) -> Tensor:
        prompts, replies = [ids(p) for p in prompt_ids], [ids(r) for r in response_ids]
        if len(prompts) != len(replies):
            raise ValueError(f"{len(prompts)} prompts and {len(replies)} replies: they must pair up")
        self.calls.append((prompts, replies))
        return torch.tensor([self.one(p, r) for p, r in zip(prompts, replies, strict=True)], dtype=torch.float32)

    def one(self, prompt: list[int], reply: list[int]) -> float:
        """Score one reply."""
        total = float(self.tokens[torch.tensor(reply, dtype=torch.long)].sum())
        return total + (float(self.start[prompt[-1], reply[0]]) if reply else 0.0)


@driver("T15")
def compare_policies(function: Any, args: dict[str, Any], tensors: dict[str, Tensor], returned: ReturnedValues) -> None:
    """Call T15 and record its rows, in their order, as columns: names, n and replies as JSON, the rest as numbers."""
    policies = {
        name: BigramPolicy(tensors[f"policy:{name}".replace(" ", "_")], dropout=args.get("dropout", 0.0)).eval()
        for name in args["policies"]
    }
    score = TableScore(tensors["tokens"], tensors["start"])
    rows = function(policies, [list(p) for p in args["prompts"]], score, kit.EvalConfig(**args["config"]))
    if rows is None:
        raise ReturnedNoneError
    rows = list(rows)
    returned.values["name"] = [str(field(row, "name")) for row in rows]
    # a row without n or replies is a wrong row; it does not mean that the slot is unanswered
    returned.values["n"] = [None if (n := field(row, "n")) is None else int(scalar(n)) for row in rows]
    replies = [field(row, "response_ids") for row in rows]
    returned.values["response_ids"] = [None if mine is None else [ids(reply) for reply in mine] for mine in replies]
    returned.values["scored"] = sum(len(replies) for _, replies in score.calls)
    for column in COLUMNS:
        if rows and all(field(row, column) is not None for row in rows):
            returned.add_array(column, [scalar(field(row, column)) for row in rows])
