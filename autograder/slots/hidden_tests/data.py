"""Hidden tests of the data slots: T01 (Dolly rows), T02 (preference pairs), T03 (tokens and labels)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from autograder.slots.hidden_tests.base import Case, CaseAnswer, Check, HiddenTest, check_same, hidden_test
from autograder.slots.oracles import texts
from autograder.slots.oracles.texts import ASSISTANT, HUMAN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

WORDS = [
    "amber", "basil", "cedar", "delta", "ember", "fable", "glyph", "hazel", "indigo", "juniper", "kelp", "lumen",
    "maple", "nectar", "onyx", "pearl", "quill", "river", "saffron", "tundra", "umber", "velvet", "willow", "xenon",
    "yarrow", "zephyr",
]  # fmt: skip
SPECIAL = ("<|end|>", "<|pad|>")


def phrase(rng: np.random.Generator, low: int = 3, high: int = 8) -> str:
    """Draw a sentence of a few distinct words."""
    words = rng.choice(WORDS, size=int(rng.integers(low, high)), replace=False)
    return " ".join(words).capitalize() + "."


@hidden_test("T01", oracle=texts.format_example)
class FormatExample(HiddenTest):
    """T01: both texts are compared character by character."""

    task = "A Dolly row becomes a prompt, which ends in the assistant's marker, and a completion."
    tips: ClassVar[Mapping[str, str]] = {
        "prompt": "Print repr() of your prompt beside the handout's template, blank lines and spaces too.",
        "completion": "Print repr() of the completion: how many spaces does it start and end with?",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw rows without context in three ways, with contexts, and with white space around the response."""

        def row(context: str | None, response: str) -> dict[str, str | None]:
            return {"instruction": phrase(rng), "context": context, "response": response, "category": "open_qa"}

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
        """Compare both texts."""
        prompt, completion = texts.format_example(case.args["example"])
        return [check_same(answer, "prompt", prompt), check_same(answer, "completion", completion)]


@hidden_test("T02", oracle=None)  # the dialogues are joined from the texts that the slot has to return
class SplitPreference(HiddenTest):
    """T02: the three texts are compared, and pairs with different prompts must raise ValueError."""

    task = "Two dialogues become one shared prompt and two replies."
    tips: ClassVar[Mapping[str, str]] = {
        "prompt": "Where does the last assistant turn begin? Look for its whole marker, blank line included.",
        "chosen": "prompt + reply must give the dialogue back, for both dialogues.",
        "rejected": "prompt + reply must give the dialogue back, for both dialogues.",
        "refusal": "The two dialogues have different prompts; such a pair must raise ValueError.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw dialogues of one and more turns, with the word "Assistant:" in a message, and with different prompts."""

        def turns(count: int) -> str:
            said = "".join(f"{HUMAN} {phrase(rng)}{ASSISTANT} {phrase(rng)}" for _ in range(count - 1))
            return f"{said}{HUMAN} {phrase(rng)}{ASSISTANT}"

        def case(about: str, prompt: str, other: str | None = None, tail: str = "") -> Case:
            chosen, rejected = f" {phrase(rng)}", f" {phrase(rng)}{tail}"
            return Case(
                about,
                {"chosen": prompt + chosen, "rejected": (other or prompt) + rejected},
                grader_only={"prompt": prompt, "chosen": chosen, "rejected": rejected, "shared": other is None},
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
            case("two dialogues that differ in an earlier turn", base, base.replace(ASSISTANT, ASSISTANT + " Oh,", 1)),
            case("two dialogues with a different number of turns", base, base + f" {phrase(rng)}{turns(1)}"),
        ]

    def expected_error(self, case: Case) -> str | None:
        """ValueError if the prompts differ."""
        return None if case.grader_only["shared"] else "ValueError"

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare the three texts."""
        return [check_same(answer, name, case.grader_only[name]) for name in ("prompt", "chosen", "rejected")]


@lru_cache(maxsize=1)
def probe_tokenizer() -> Tokenizer:
    """Train a byte-level BPE that does not split words first, so that tokens merge across the end of the prompt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = [f"{HUMAN} {a} {b}{ASSISTANT} {b} {c}." for a, b, c in zip(WORDS, WORDS[1:], WORDS[2:], strict=False)]
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


@hidden_test("T03", oracle=texts.encode_example)
class EncodeExample(HiddenTest):
    """T03: ids and labels are compared one by one."""

    task = "Prompt and completion become token ids and labels, at most max_length of them."
    tips: ClassVar[Mapping[str, str]] = {
        "input_ids": "Encode the two parts on their own, join them, end with EOS; then see what is cut.",
        "labels": "One label per id: -100 on every prompt token, the id itself on every token after it.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw examples that fit, that merge at the border, whose prompt must be cut, whose completion is too long."""
        encode = probe_tokenizer().encode

        def case(about: str, prompt: str, completion: str, spare: int | None = None) -> Case:
            """spare: max_length minus the completion's tokens without its EOS; None: everything fits."""
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
        """Compare ids and labels."""
        encode = probe_tokenizer().encode
        completion = [*encode(case.args["completion"]).ids, *encode(SPECIAL[0]).ids]
        ids, labels = texts.encode_example(encode(case.args["prompt"]).ids, completion, case.args["max_length"])
        return [check_same(answer, "input_ids", ids), check_same(answer, "labels", labels)]


def _exactly(prompt: str, completion: str, encode: Callable[[str], Any]) -> tuple[str, str, int]:
    """Return prompt, completion and the `spare` with which both and the EOS fill max_length exactly."""
    return prompt, completion, len(encode(prompt).ids) + 1
