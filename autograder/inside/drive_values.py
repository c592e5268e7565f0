"""Drivers of the slots that are plain functions.

If a gradient is checked, the function gets a clone of the leaf, so that it may change its arguments in place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .slot_output import NoAnswerError, SlotOutput, driver, field, ids, pair, scalar, tensor

if TYPE_CHECKING:
    import rlhf_kit as kit

Args = dict[str, Any]
Tensors = dict[str, Tensor]


@driver("T01", light=True)
def format_example(function: Any, args: Args, _tensors: Tensors, output: SlotOutput) -> None:
    """T01: a row becomes two texts."""
    output.values["prompt"], output.values["completion"] = _texts(function(dict(args["example"])), 2)


@driver("T02", light=True)
def split_preference(function: Any, args: Args, _tensors: Tensors, output: SlotOutput) -> None:
    """T02: two dialogues become three texts."""
    found = _texts(function(args["chosen"], args["rejected"]), 3)
    output.values.update(zip(("prompt", "chosen", "rejected"), found, strict=True))


@driver("T03")
def encode_example(function: Any, args: Args, _tensors: Tensors, output: SlotOutput) -> None:
    """T03: two texts and a tokenizer become token ids and labels."""
    found = function(args["prompt"], args["completion"], tokenizer(args["tokenizer"]), args["max_length"])
    if found is None:
        raise NoAnswerError
    output.values["input_ids"] = ids(field(found, "input_ids"))
    output.values["labels"] = ids(field(found, "labels"))


@driver("T04", light=True)
def sft_loss(function: Any, _args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T04: the loss and its gradient in the logits."""
    logits = tensors["logits"].requires_grad_()
    loss = scalar(function(logits.clone(), tensors["labels"]))
    output.number("loss", loss)
    _backward(loss)
    output.gradient("gradient", logits)


@driver("T07", light=True)
def bradley_terry_loss(function: Any, args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T07: the loss and its gradients in both scores. Without a margin in the case, none is passed."""
    chosen, rejected = tensors["chosen"].requires_grad_(), tensors["rejected"].requires_grad_()
    margin = [args["margin"]] if "margin" in args else []
    loss = scalar(function(chosen.clone(), rejected.clone(), *margin))
    output.number("loss", loss)
    _backward(loss)
    output.gradient("gradient_chosen", chosen)
    output.gradient("gradient_rejected", rejected)


@driver("T08", light=True)
def preference_accuracy(function: Any, _args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T08: the accuracy."""
    output.number("accuracy", function(tensors["chosen"], tensors["rejected"]))


@driver("T10", light=True)
def token_logprobs(function: Any, _args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T10: the log-probabilities, and the gradient of their sum weighted by `weights`."""
    logits = tensors["logits"].requires_grad_()
    found = tensor(function(logits.clone(), tensors["tokens"]))
    output.array("logprobs", found)
    if found.shape == tensors["weights"].shape:
        _backward((found * tensors["weights"]).sum())
        output.gradient("gradient", logits)


@driver("T11", light=True)
def shape_rewards(function: Any, args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T11: the rewards."""
    names = ("scores", "logprobs", "ref_logprobs", "mask")
    output.array("rewards", function(*(tensors[name] for name in names), args["beta"]))


@driver("T12", light=True)
def gae(function: Any, args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T12: advantages and returns."""
    inputs = (tensors[name] for name in ("rewards", "values", "mask"))
    advantages, returns = pair(function(*inputs, args["gamma"], args["lam"]), "(advantages, returns)")
    output.array("advantages", advantages)
    output.array("returns", returns)


@driver("T13")
def ppo_loss(function: Any, args: Args, tensors: Tensors, output: SlotOutput) -> None:
    """T13: the loss, the statistics, and the gradients in the new log-probabilities and values."""
    logprobs, values = tensors["logprobs"].requires_grad_(), tensors["values"].requires_grad_()
    loss, stats = _loss_and_stats(
        function(
            logprobs.clone(),
            tensors["old_logprobs"],
            tensors["advantages"],
            values.clone(),
            tensors["old_values"],
            tensors["returns"],
            tensors["mask"],
            ppo_config(args["config"]),
        )
    )
    loss = scalar(loss)
    output.number("loss", loss)
    for name in ("policy_loss", "value_loss", "approx_kl", "clip_fraction"):
        found = field(stats, name)
        if found is not None:
            output.number(name, found)
    _backward(loss)
    output.gradient("gradient_logprobs", logprobs)
    output.gradient("gradient_values", values)


def ppo_config(given: Args) -> kit.PPOConfig:
    """The PPOConfig of a case."""
    import rlhf_kit as kit

    return kit.PPOConfig(**{**given, "betas": tuple(given["betas"])})


def _loss_and_stats(found: Any) -> tuple[Any, Any]:
    return pair(found, "(loss, stats)")


def _backward(loss: Tensor) -> None:
    """Backpropagate if the loss is one number with a graph. Otherwise no gradient is recorded."""
    if loss.numel() == 1 and loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]


def _texts(found: Any, count: int) -> list[str]:
    """The texts of a list or tuple of `count` texts. Raises NoAnswerError if it is None, else TypeError."""
    if found is None:
        raise NoAnswerError
    if (
        not isinstance(found, list | tuple)
        or len(found) != count
        or not all(isinstance(x, str) for x in found)
    ):
        raise TypeError(f"expected {count} texts, got {type(found).__name__}")
    return [str(x) for x in found]


@lru_cache(maxsize=4)
def tokenizer(description: str) -> Any:
    """A tokenizer of transformers from the JSON of a `tokenizers.Tokenizer`; ids 0 and 1 are EOS and padding."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    import rlhf_kit as kit

    inner = Tokenizer.from_str(description)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=inner.id_to_token(kit.EOS_ID),
        pad_token=inner.id_to_token(kit.PAD_ID),
    )
