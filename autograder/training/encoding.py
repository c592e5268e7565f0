"""The handout's text formats, written a second time: a student's T01 to T03 play no part in measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformers import PreTrainedTokenizerBase

Ids = list[int]


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """Token ids of a text, nothing added."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def demonstration(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, str]) -> tuple[Ids, Ids]:
    """A Dolly row as (prompt ids, completion ids with EOS)."""
    context = row["context"]
    middle = "\n\n" + context if context.strip() else ""
    prompt = "\n\nHuman: " + row["instruction"] + middle + "\n\nAssistant:"
    completion = " " + row["response"].strip()
    return encode(tokenizer, prompt), [*encode(tokenizer, completion), tokenizer.eos_token_id]


def reply(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """A reply's text as ids, with the blank before it and EOS after it."""
    return [*encode(tokenizer, " " + text), tokenizer.eos_token_id]


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Token ids as text, special tokens left out."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))
