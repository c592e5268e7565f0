"""Hidden tests of the data slots: T01, T02, T03."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from autograder.slots.hidden_tests.base import Case, CaseAnswer, Check, HiddenTest, hidden_test, same
from autograder.slots.oracles import texts
from autograder.slots.oracles.texts import ASSISTANT, HUMAN

WORDS = ["amber", "basil", "cedar", "delta", "ember", "fable", "glyph", "hazel", "indigo", "juniper", "kelp", "lumen", "maple", "nectar", "onyx", "pearl", "quill", "river", "saffron", "tundra", "umber", "velvet", "willow", "xenon", "yarrow", "zephyr"]
SPECIAL = ("<|end|>", "<|pad|>")


def phrase(rng: np.random.Generator, low: int = 3, high: int = 8) -> str:
    """A few distinct words, a capital and a full stop."""
    words = rng.choice(WORDS, size=int(rng.integers(low, high)), replace=False)
    return " ".join(words).capitalize() + "."


@hidden_test("T01", oracle=texts.format_example)
class FormatExample(HiddenTest):
    """T01."""

    asks = "A Dolly row becomes a prompt, which ends in the assistant's marker, and a completion."
    tips = {
        "prompt": "Print repr() of your prompt beside the handout's template, blank lines and spaces too.",
        "completion": "Print repr() of the completion: how many spaces does it start and end with?",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """No context in three ways, a context, a response with white space around it."""

        def row(context: str | None, response: str) -> dict[str, str | None]:
            return {
                "instruction": phrase(rng),
                "context": context,
                "response": response,
                "category": "open_qa",
            }

        two_lines = f"{phrase(rng)}\n{phrase(rng)}"
        return [
            Case("a row without context", {"example": row("", phrase(rng))}),
            Case("a row with a context", {"example": row(phrase(rng), phrase(rng))}),
            Case("a row with a context of two lines", {"example": row(two_lines, phrase(rng))}),
            Case("a row whose context is None", {"example": row(None, phrase(rng))}),
            Case("a row whose context is white space", {"example": row(" \n  ", phrase(rng))}),
            Case("a response with white space around it", {"example": row("", f"\n  {phrase(rng)} \n")}),
            Case("a response of two paragraphs", {"example": row("", f"{phrase(rng)}\n\n{phrase(rng)}")}),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Both texts, character by character."""
        prompt, completion = texts.format_example(case.args["example"])
        return [same(answer, "prompt", prompt), same(answer, "completion", completion)]


@hidden_test("T02", oracle=None)  # the dialogues are joined from the texts that are asked for
class SplitPreference(HiddenTest):
    """T02."""

    asks = "Two dialogues become one shared prompt and two replies."
    tips = {
        "prompt": "Where does the last assistant turn begin? Look for its whole marker, blank line included.",
        "chosen": "prompt + reply must give the dialogue back, for both dialogues.",
        "rejected": "prompt + reply must give the dialogue back, for both dialogues.",
        "refusal": "The two dialogues have different prompts; such a pair must raise ValueError.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """One and more turns, the bare word in a message, pairs that share no prompt."""

        def turns(count: int) -> str:
            said = "".join(f"{HUMAN} {phrase(rng)}{ASSISTANT} {phrase(rng)}" for _ in range(count - 1))
            return f"{said}{HUMAN} {phrase(rng)}{ASSISTANT}"

        def case(about: str, prompt: str, other: str | None = None, tail: str = "") -> Case:
            chosen, rejected = f" {phrase(rng)}", f" {phrase(rng)}{tail}"
            return Case(
                about,
                {"chosen": prompt + chosen, "rejected": (other or prompt) + rejected},
                key={"prompt": prompt, "chosen": chosen, "rejected": rejected, "shared": other is None},
            )

        bare = f"{HUMAN} Write Assistant: {phrase(rng)}{ASSISTANT}"
        base = turns(2)
        return [
            case("a single turn", turns(1)),
            case("a dialogue of two turns", base),
            case("a dialogue of three turns", turns(3)),
            case("a question that contains the word Assistant:", bare),
            case("a reply that contains the word Assistant:", turns(1), tail=f" Assistant: {phrase(rng)}"),
            case("two dialogues with different questions", turns(1), turns(1)),
            case(
                "two dialogues that differ in an earlier turn",
                base,
                base.replace(ASSISTANT, ASSISTANT + " Oh,", 1),
            ),
            case("two dialogues with a different number of turns", base, base + f" {phrase(rng)}{turns(1)}"),
        ]

    def raises(self, case: Case) -> str | None:
        """ValueError where the prompts differ."""
        return None if case.key["shared"] else "ValueError"

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """All three texts."""
        return [same(answer, name, case.key[name]) for name in ("prompt", "chosen", "rejected")]


@lru_cache(maxsize=1)
def probe_tokenizer() -> Tokenizer:
    """A byte-level BPE without a word split, so that tokens merge across words and across the border."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = [f"{HUMAN} {a} {b}{ASSISTANT} {b} {c}." for a, b, c in zip(WORDS, WORDS[1:], WORDS[2:])]
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


@hidden_test("T03", oracle=texts.encode_example)
class EncodeExample(HiddenTest):
    """T03."""

    asks = "Prompt and completion become token ids and labels, at most max_length of them."
    tips = {
        "input_ids": "Encode the two parts on their own, join them, end with EOS; then see what is cut.",
        "labels": "One label per id: -100 on every prompt token, the id itself on every token after it.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Everything fits; a merging border; the prompt must be cut, to nothing; the completion too long."""
        encode = probe_tokenizer().encode

        def case(about: str, prompt: str, completion: str, spare: int | None = None) -> Case:
            """spare: max_length minus the completion's tokens (its EOS not counted); None: all fits."""
            size = len(encode(completion).ids)
            room = len(encode(prompt).ids) + size + 7 if spare is None else size + spare
            description = probe_tokenizer().to_str()
            args = {"prompt": prompt, "completion": completion, "max_length": room, "tokenizer": description}
            return Case(about, args)

        def prompt() -> str:
            return f"{HUMAN} {phrase(rng)}{ASSISTANT}"

        word = str(rng.choice(WORDS))
        return [
            case("an example that fits", prompt(), f" {phrase(rng)}"),
            case("another example that fits", prompt(), f" {phrase(rng)}"),
            case("an example whose border tokens merge", f"{phrase(rng)[:-1]} {word[:2]}", f"{word[2:]} {word}"),
            case("a prompt that must be cut", prompt(), f" {phrase(rng)}", spare=1 + int(rng.integers(3, 6))),
            case("a completion that fills max_length with its EOS", prompt(), f" {phrase(rng)}", spare=1),
            case("a completion that fills max_length without EOS", prompt(), f" {phrase(rng)}", spare=0),
            case("a completion longer than max_length", prompt(), f" {phrase(rng)}", spare=-2),
            case("an example that fits exactly", *_exactly(prompt(), f" {phrase(rng)}", encode)),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Ids and labels, one by one."""
        encode = probe_tokenizer().encode
        completion = [*encode(case.args["completion"]).ids, *encode(SPECIAL[0]).ids]
        ids, labels = texts.encode_example(encode(case.args["prompt"]).ids, completion, case.args["max_length"])
        return [same(answer, "input_ids", ids), same(answer, "labels", labels)]


def _exactly(prompt: str, completion: str, encode: Callable[[str], Any]) -> tuple[str, str, int]:
    """spare such that prompt, completion and EOS fill max_length exactly."""
    return prompt, completion, len(encode(prompt).ids) + 1
