"""The text formats of the handout: prompt and completion of a row, as texts and as token ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
IGNORED = -100  # the label of a token without supervision


def format_example(row: Mapping[str, str | None]) -> tuple[str, str]:
    """(prompt, completion) of a Dolly row. A context of white space counts as none."""
    context, instruction, response = row["context"], row["instruction"], row["response"]
    assert instruction is not None
    assert response is not None
    has_context = context is not None and not context.isspace() and context != ""
    middle = [instruction, str(context)] if has_context else [instruction]
    return f"{HUMAN} " + "\n\n".join(middle) + ASSISTANT, " " + response.strip()


def encode_example(prompt: Sequence[int], completion: Sequence[int], limit: int) -> tuple[list[int], list[int]]:
    """(ids, labels) of a prompt and a completion with its EOS, at most `limit` each. The prompt is cut from the left,
    token by token; if that is not enough, the completion is cut from the right."""
    kept, answer = list(prompt), list(completion)
    while kept and len(kept) + len(answer) > limit:
        kept = kept[1:]
    answer = answer[: limit - len(kept)]
    return kept + answer, [IGNORED] * len(kept) + answer
