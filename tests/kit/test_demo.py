"""The first conversation: prompts and replies as a student sees them."""

from __future__ import annotations

import torch

from rlhf_kit.demo import answer, demo, show_conversations

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


def test_each_turn_and_each_model_gets_its_own_line():
    prompt = "\n\nHuman: One?\n\nAssistant: Yes.\n\nHuman: Two?\n\nAssistant:"
    text = show_conversations([prompt], {"base": ["first"], "SFT": ["second"]})
    expected = ["Human: One?", "Assistant: Yes.", "Human: Two?", "base: first", "SFT: second"]
    assert text.splitlines() == expected


def test_the_demo_prints_the_question_and_the_answer(tokenizer, capsys):
    demo([PROMPT], Fixed(ord("b") + 2), tokenizer, name="toy")
    assert capsys.readouterr().out.startswith("Human: Where does the zog live?\ntoy: bbb")
