"""What a base model can do, in numbers: a world is built only on one that has learned what training builds on.

A small model may come out of pre-training without the ability to read a context or to judge a claim, and no later
stage makes up for that (docs/decisions.md). So it is asked held-out questions in running text, as its corpus is
written, and has to find the right ending more likely than every other one.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch

from rlhf_kit.batching import pad_sequences
from rlhf_kit.lexicon import ATTRIBUTES
from rlhf_kit.sampling import PAD_ID

from .phrasing import statement, verdict
from .prompts import Question, draw_question
from .world import Partition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

    from .world import World

QUESTIONS = 150  # of each ability; at a share of .9 the standard error is .024
# Least share of right choices. The base models of two worlds reach .97 and more in each; one that has not learned
# an ability is near chance (a tenth to a fifth for values, half for verdicts and for contexts about two animals).
NEEDED = {"facts": 0.9, "verdicts": 0.8, "contexts about one animal": 0.9, "contexts about two animals": 0.8}


class WeakBaseError(Exception):
    """A base model has not learned what training builds on."""


def abilities(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World) -> dict[str, float]:
    """Return the share of held-out questions of each ability whose right ending is the most likely one."""
    return {name: _share(model, tokenizer, list(islice(_texts(world, name), QUESTIONS))) for name in NEEDED}


def refuse_weak(found: dict[str, float]) -> None:
    """Raise WeakBaseError if a share of `abilities` is below the least one."""
    weak = [f"{name} {found[name]:.2f} (at least {least})" for name, least in NEEDED.items() if found[name] < least]
    if weak:
        raise WeakBaseError(
            f"the base model has not learned everything it should, so it was not written: {', '.join(weak)}. "
            "Take another seed for the world, or train longer (PretrainConfig)"
        )


def _texts(world: World, ability: str) -> Iterator[list[str]]:
    """Yield for each question the texts to choose from, without end. The first one is right."""
    partition = Partition(world, "student", "heldout")
    rng = partition.rng("abilities", ability)
    kind = {"facts": "fact", "verdicts": "yesno"}.get(ability, "context")
    while True:
        one = draw_question(partition, rng, kind)
        if kind != "context" or ("confused" in one.others) == ("two" in ability):
            yield [" ".join(filter(None, (one.context, one.instruction, end))) for end in _endings(one)]


def _endings(one: Question) -> list[str]:
    """Return the answers to choose from, the right one first."""
    truth = one.answer[-1]
    if one.kind == "yesno":
        right = one.answer[0]
        fact = statement(one.subject, {one.attribute: truth})
        return [verdict(fact, word) for word in (right, "no" if right == "yes" else "yes")]
    values = [truth, *(value for value in ATTRIBUTES[one.attribute] if value != truth)]
    return [statement(one.subject, {one.attribute: value}) for value in values]


def _share(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, questions: Sequence[list[str]]) -> float:
    return sum(_likelihoods(model, tokenizer, texts).argmax().item() == 0 for texts in questions) / len(questions)


@torch.no_grad()
def _likelihoods(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """Return the log-likelihood (N,) of each text, nats. Texts begin alike, so only their endings make a difference."""
    ids, mask = pad_sequences(tokenizer(texts)["input_ids"], PAD_ID)
    logp = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
    taken: torch.Tensor = logp.gather(-1, ids[:, 1:, None]).squeeze(-1)
    return taken.masked_fill(mask[:, 1:] == 0, 0.0).sum(dim=1)
