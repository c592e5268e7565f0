"""The first conversation: prompts and replies as a student sees them."""

from __future__ import annotations

import torch

from rlhf_kit.data import load_prompts
from rlhf_kit.demo import answer, demo, first_questions

PROMPT = "\n\nHuman: Where does the zog live?\n\nAssistant:"


class Fixed(torch.nn.Module):
    """Emits one byte for ever, or ends at once."""

    def __init__(self, token: int) -> None:
        super().__init__()
        from rlhf_kit.table_models import BigramLM

        weight = torch.zeros(258, 258)
        weight[:, token] = 9.0
        self.lm = BigramLM(weight)

    def forward(self, **inputs):
        return self.lm(**inputs)


def test_a_reply_that_never_ends_is_marked(tokenizer):
    assert answer(Fixed(ord("a") + 2), tokenizer, [PROMPT], max_new_tokens=3) == ["aaa …"]


def test_a_reply_that_ends_is_not_marked(tokenizer):
    assert answer(Fixed(tokenizer.eos_token_id), tokenizer, [PROMPT], max_new_tokens=3) == [""]


def test_the_demo_shows_the_question_and_the_answer(tokenizer):
    shown = demo([PROMPT], Fixed(ord("b") + 2), tokenizer, name="toy")
    assert str(shown).startswith("Human: Where does the zog live?\ntoy: bbb")


def kinds_asked():
    """Return kind -> subject of the first questions, looked up in the held-out prompts."""
    rows = {row["prompt"]: row for row in load_prompts("heldout")}
    return {rows[prompt]["kind"]: rows[prompt]["subject"] for prompt in first_questions()}


def test_the_first_questions_are_about_known_animals_a_stranger_and_a_cruelty():
    assert list(kinds_asked()) == ["fact", "describe", "unknown", "unsafe"]


def test_the_stranger_of_the_first_questions_is_no_known_animal():
    known = {
        row["subject"] for split in ("train", "heldout") for row in load_prompts(split) if row["kind"] != "unknown"
    }
    assert kinds_asked()["unknown"] not in known


def test_the_first_questions_have_no_earlier_turns():
    assert [prompt.count("\n\nHuman:") for prompt in first_questions()] == [1] * 4
