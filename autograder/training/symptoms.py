"""Mistakes of training named from what the harness and the weights show, whatever the code looks like.

A sign is a fact about the run (no step was made, one part never moved, the order is inverted) with the
sentence that goes with it. It needs no second program and is true of every run that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from autograder.training.outcome import Failure, Outcome

DIVERGED = "NaN"  # the word that every message about weights or numbers that are not finite holds
CHANCE = 0.5  # share of right guesses
UNLEARNED = 0.05  # of the reward's standard deviations: less is no gain, in either direction


class Sign(NamedTuple):
    """What a run shows: id, name, and what a student reads."""

    id: str
    name: str
    sentence: str


SIGNS = {
    sign.id: sign
    for sign in (
        Sign("W1", "no update was made", "Your loop ended without one step of an optimiser that holds the model."),
        Sign("W2", "updates were made and no weight moved", "The optimiser stepped, and the weights are those "
             "from before: is there a gradient at that moment, and a learning rate?"),
        Sign("W3", "the body is frozen", "Only the head has learned: every weight of the body is as it was."),
        Sign("W4", "the head is frozen", "Only the body has learned: the head is as it was."),
        Sign("W5", "fewer updates than the configuration asks for", "Your loop ends early: count the epochs, and "
             "the batches of each."),
        Sign("W6", "preferences are inverted", "Your model prefers the rejected reply, and reliably so: something "
             "has the wrong sign or the wrong order."),
        Sign("W7", "training diverged", "Your weights, or what the model computes with them, are not finite."),
        Sign("W8", "the policy moved without gaining reward", "The policy is far from SFT and earns no more than "
             "before: does the reward, with the right sign, reach the loss?"),
        Sign("W9", "the reward was hacked", "The reward rose while the true quality fell: what should have "
             "held the policy back?"),
        Sign("W10", "the policy hardly moved", "The policy made its updates and is where it was: does anything but "
             "the penalty have a gradient in it? The reward of sampled tokens has none."),
        Sign("W11", "the question is not read", "Given two questions and an answer to each, your model does not prefer "
             "the answers where they belong: what of the prompt reaches the model while it learns?"),
        Sign("W12", "masked positions were supervised", "Your model has learned prompts or padding beside the answers: "
             "the labels of a batch say which positions count."),
    )
}  # fmt: skip


def named(item: str, found: Outcome | Failure) -> dict[str, str] | None:
    """The sign that a failed training item shows, as an ItemResult's `misconception`, or None."""
    if isinstance(found, Failure):
        sign = "W7" if found.status == "wrong" and DIVERGED in found.message else ""
    else:
        sign = "" if found.passed else _sign(item, found.evidence)
    return SIGNS[sign]._asdict() if sign else None


def _sign(item: str, evidence: Mapping[str, Any]) -> str:
    steps, expected = evidence.get("optimizer_steps"), evidence.get("expected_steps")
    still = evidence.get("frozen", [])
    if steps is None:
        return ""
    if steps == 0:
        return "W1"
    if "body" in still:
        return "W2" if evidence.get("relative_change") == 0 else "W3"
    if "head" in still:
        return "W4"
    if evidence.get("inverted"):
        return "W6"
    if expected and steps < expected:
        return "W5"
    if evidence.get("unmasked"):
        return "W12"
    if evidence.get("exchange", 1.0) <= CHANCE < evidence["accuracy"]:
        return "W11"
    return _policy(evidence) if item.startswith("ppo") else ""


def _policy(evidence: Mapping[str, Any]) -> str:
    """What reward, KL and true quality say together."""
    gain, kl, gold = (evidence.get(name) for name in ("gain", "kl", "gold_gain"))
    if kl is not None and gain is not None:
        low, high = evidence["range"]
        if gain < UNLEARNED:
            return "W10" if kl < low else "W8" if kl > high else ""
        return ""
    if gain is not None and gold is not None and gain > UNLEARNED and gold < 0:
        return "W9"
    return ""
