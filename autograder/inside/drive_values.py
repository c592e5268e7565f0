"""Drivers of the slots that are plain functions.

If a gradient is asked for, the function gets a clone of the leaf, so that an answer may work in place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .driver_table import driver
from .returned import ReturnedNoneError, ReturnedValues, field, ids, pair, scalar, tensor

if TYPE_CHECKING:
    import rlhf_kit as kit

Args = dict[str, Any]
Tensors = dict[str, Tensor]


@driver("T01", light=True)
def format_example(function: Any, args: Args, _tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T01 on one row and record two texts."""
    returned.values["prompt"], returned.values["completion"] = _texts(function(dict(args["example"])), 2)


@driver("T02", light=True)
def split_preference(function: Any, args: Args, _tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T02 on two dialogues and record three texts."""
    found = _texts(function(args["chosen"], args["rejected"]), 3)
    returned.values.update(zip(("prompt", "chosen", "rejected"), found, strict=True))


@driver("T03")
def encode_example(function: Any, args: Args, _tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T03 on two texts and a tokenizer, and record token ids and labels."""
    found = function(args["prompt"], args["completion"], tokenizer(args["tokenizer"]), args["max_length"])
    if found is None:
        raise ReturnedNoneError
    returned.values["input_ids"] = ids(field(found, "input_ids"))
    returned.values["labels"] = ids(field(found, "labels"))


@driver("T04", light=True)
def sft_loss(function: Any, _args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T04 and record the loss and its gradient with respect to the logits."""
    logits = tensors["logits"].requires_grad_()
    loss = scalar(function(logits.clone(), tensors["labels"]))
    returned.add_number("loss", loss)
    _backward(loss)
    returned.add_gradient("gradient", logits)


@driver("T07", light=True)
def bradley_terry_loss(function: Any, args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T07, with a margin only if the case has one, and record the loss and its gradients for both scores."""
    chosen, rejected = tensors["chosen"].requires_grad_(), tensors["rejected"].requires_grad_()
    margin = [args["margin"]] if "margin" in args else []
    loss = scalar(function(chosen.clone(), rejected.clone(), *margin))
    returned.add_number("loss", loss)
    _backward(loss)
    returned.add_gradient("gradient_chosen", chosen)
    returned.add_gradient("gradient_rejected", rejected)


@driver("T08", light=True)
def preference_accuracy(function: Any, _args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T08 and record its number."""
    returned.add_number("accuracy", function(tensors["chosen"], tensors["rejected"]))


@driver("T10", light=True)
def token_logprobs(function: Any, _args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T10 and record the log-probabilities and the gradient of their sum weighted by `weights`."""
    logits = tensors["logits"].requires_grad_()
    found = tensor(function(logits.clone(), tensors["tokens"]))
    returned.add_array("logprobs", found)
    if found.shape == tensors["weights"].shape:
        _backward((found * tensors["weights"]).sum())
        returned.add_gradient("gradient", logits)


@driver("T11", light=True)
def shape_rewards(function: Any, args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T11 and record one reward per token."""
    names = ("scores", "logprobs", "ref_logprobs", "mask")
    returned.add_array("rewards", function(*(tensors[name] for name in names), args["beta"]))


@driver("T12", light=True)
def gae(function: Any, args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T12 and record advantages and returns."""
    inputs = (tensors[name] for name in ("rewards", "values", "mask"))
    advantages, returns = pair(function(*inputs, args["gamma"], args["lam"]), "(advantages, returns)")
    returned.add_array("advantages", advantages)
    returned.add_array("returns", returns)


@driver("T13")
def ppo_loss(function: Any, args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """Call T13 and record the loss, the statistics, and the gradients for the new log-probabilities and values."""
    logprobs, values = tensors["logprobs"].requires_grad_(), tensors["values"].requires_grad_()
    result = function(
        logprobs.clone(),
        tensors["old_logprobs"],
        tensors["advantages"],
        values.clone(),
        tensors["old_values"],
        tensors["returns"],
        tensors["mask"],
        ppo_config(args["config"]),
    )
    loss, stats = pair(result, "(loss, stats)")
    loss = scalar(loss)
    returned.add_number("loss", loss)
    for name in ("policy_loss", "value_loss", "approx_kl", "clip_fraction"):
        found = field(stats, name)
        if found is not None:
            returned.add_number(name, found)
    _backward(loss)
    returned.add_gradient("gradient_logprobs", logprobs)
    returned.add_gradient("gradient_values", values)


def ppo_config(given: Args) -> kit.PPOConfig:
    """Build a PPOConfig from JSON."""
    import rlhf_kit as kit

    return kit.PPOConfig(**{**given, "betas": tuple(given["betas"])})


def _backward(loss: Tensor) -> None:
    """Backpropagate if the loss is one number with a graph; otherwise leave the gradients unset."""
    if loss.numel() == 1 and loss.requires_grad:
        loss.backward()


def _texts(found: Any, count: int) -> list[str]:
    if found is None:
        raise ReturnedNoneError
    if not isinstance(found, list | tuple) or len(found) != count or not all(isinstance(x, str) for x in found):
        raise TypeError(f"expected {count} texts, got {type(found).__name__}")
    return [str(x) for x in found]


@lru_cache(maxsize=4)
def tokenizer(description: str) -> Any:
    """Build a transformers tokenizer from the JSON of a `tokenizers.Tokenizer` with the kit's ids of EOS and pad."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    import rlhf_kit as kit

    inner = Tokenizer.from_str(description)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=inner.id_to_token(kit.EOS_ID), pad_token=inner.id_to_token(kit.PAD_ID)
    )
