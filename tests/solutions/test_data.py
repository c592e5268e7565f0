"""T01–T03 on texts written out by hand."""

from __future__ import annotations

import pytest


class Words:
    """One token per word; ids from a growing table, 0 is EOS."""

    eos_token_id = 0

    def __init__(self):
        self.table = {}

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [self.table.setdefault(word, len(self.table) + 2) for word in text.split()]}


@pytest.fixture
def words():
    return Words()


def test_format_puts_a_context_under_the_instruction(reference):
    row = {"instruction": "Who?", "context": "Ann.\nBob.", "response": " Both. \n"}
    assert reference["format_example"](row) == ("\n\nHuman: Who?\n\nAnn.\nBob.\n\nAssistant:", " Both.")


@pytest.mark.parametrize("context", ["", "  \n ", None])
def test_format_leaves_out_a_blank_context(reference, context):
    row = {"instruction": "Who?", "context": context, "response": "Ann."}
    assert reference["format_example"](row)[0] == "\n\nHuman: Who?\n\nAssistant:"


def test_split_keeps_earlier_turns_in_the_prompt_and_replies_unchanged(reference):
    start = "\n\nHuman: a\n\nAssistant: b\n\nHuman: say 'Assistant:'\n\nAssistant:"
    assert reference["split_preference"](start + " yes ", start + "no") == (start, " yes ", "no")


@pytest.mark.parametrize("rejected", ["\n\nHuman: other\n\nAssistant: x", "no turn at all", ""])
def test_split_refuses_pairs_that_share_no_prompt(reference, rejected):
    with pytest.raises(ValueError, match="share"):
        reference["split_preference"]("\n\nHuman: one\n\nAssistant: x", rejected)


@pytest.mark.parametrize("max_length", range(1, 9))
def test_encoding_keeps_what_the_contract_says_at_every_length(reference, words, max_length):
    prompt, completion = words("a b c")["input_ids"], words("x y z")["input_ids"]
    row = reference["encode_example"]("a b c", "x y z", words, max_length)
    if max_length >= 4:  # three words and EOS fit; the prompt gets what is left, from its right end
        kept = prompt[3 - min(3, max_length - 4) :]
        assert row == {"input_ids": kept + completion + [0], "labels": [-100] * len(kept) + completion + [0]}
    else:
        assert row == {"input_ids": completion[:max_length], "labels": completion[:max_length]}
