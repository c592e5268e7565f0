"""Recognise training mistakes from the number of optimiser steps and the resulting weights.

A symptom is a fact about the run (no step was made, one part never changed, the order is inverted) with a sentence for
the student. Recognising it needs no other run, and the sentence is true of every run that shows the symptom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from autograder.training.outcome import Failure, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

DIVERGED = "NaN"  # a word of every message about weights or numbers that are not finite
CHANCE = 0.5  # share of right guesses
UNLEARNED = 0.05  # a reward gain below this many standard deviations of the reward counts as none


class Symptom(NamedTuple):
    """A symptom: its id, its name, and the sentence that a student reads."""

    id: str
    name: str
    sentence: str


SYMPTOMS = {
    symptom.id: symptom
    for symptom in (
        Symptom("W1", "no update was made", "Your loop ended without one step of an optimiser that holds the model."),
        Symptom("W2", "updates were made and no weight moved", "The optimiser stepped, and the weights are those "
                "from before: is there a gradient at that moment, and a learning rate?"),
        Symptom("W3", "the body is frozen", "Only the head has learned: every weight of the body is as it was."),
        Symptom("W4", "the head is frozen", "Only the body has learned: the head is as it was."),
        Symptom("W5", "fewer updates than the configuration asks for", "Your loop ends early: count the epochs, and "
                "the batches of each."),
        Symptom("W6", "preferences are inverted", "Your model prefers the rejected reply, and reliably so: something "
                "has the wrong sign or the wrong order."),
        Symptom("W7", "training diverged", "Your weights, or what the model computes with them, are not finite."),
        Symptom("W8", "the policy moved without gaining reward", "The policy is far from SFT and earns no more than "
                "before: does the reward, with the right sign, reach the loss?"),
        Symptom("W9", "the reward was hacked", "The reward rose while the true quality fell: what should have "
                "held the policy back?"),
        Symptom("W10", "the policy hardly moved", "The policy made its updates and is where it was: does anything but "
                "the penalty have a gradient in it? The reward of sampled tokens has none."),
        Symptom("W11", "the question is not read", "Given two questions and an answer to each, your model does not "
                "prefer each answer after its own question: what of the prompt reaches the model while it learns?"),
        Symptom("W12", "masked positions were supervised", "Your model has learned prompts or padding beside the "
                "answers: the labels of a batch say which positions count."),
    )
}  # fmt: skip


def recognise(item: str, found: Outcome | Failure) -> dict[str, str] | None:
    """Return the symptom that a failed training item shows, as an ItemResult's `misconception`, or None."""
    if isinstance(found, Failure):
        id_ = "W7" if found.status == "wrong" and DIVERGED in found.message else ""
    else:
        id_ = "" if found.passed else _symptom(item, found.evidence)
    return SYMPTOMS[id_]._asdict() if id_ else None


def _symptom(item: str, evidence: Mapping[str, Any]) -> str:
    """Return the id of the first symptom that applies, or an empty text."""
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
    return _policy_symptom(evidence) if item.startswith("ppo") else ""


def _policy_symptom(evidence: Mapping[str, Any]) -> str:
    """Return the id of the symptom that reward, KL and true quality show together, or an empty text."""
    gain, kl, gold = (evidence.get(name) for name in ("gain", "kl", "gold_gain"))
    if kl is not None and gain is not None:
        low, high = evidence["range"]
        if gain < UNLEARNED:
            return "W10" if kl < low else "W8" if kl > high else ""
        return ""
    if gain is not None and gold is not None and gain > UNLEARNED and gold < 0:
        return "W9"
    return ""
