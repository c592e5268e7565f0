"""Independent implementation of the text formats, so that measurements do not depend on the student's T01–T03."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

Ids = list[int]


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """Return the token ids of a text, without special tokens."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def demonstration(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, str]) -> tuple[Ids, Ids]:
    """Encode a Dolly row as (prompt ids, completion ids with EOS)."""
    context = row["context"]
    middle = "\n\n" + context if context.strip() else ""
    prompt = "\n\nHuman: " + row["instruction"] + middle + "\n\nAssistant:"
    completion = " " + row["response"].strip()
    return encode(tokenizer, prompt), [*encode(tokenizer, completion), tokenizer.eos_token_id]


def reply(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """Encode a reply's text, with a space before it and EOS behind it."""
    return [*encode(tokenizer, " " + text), tokenizer.eos_token_id]


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Return token ids as text, without special tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))
