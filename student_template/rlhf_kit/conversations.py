"""Show prompts with the replies of several models: a table in a notebook, text elsewhere."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .gold import gold_components, gold_reward

WIDTH = 100  # columns of the printed conversation
TURN = re.compile(r"\n\n(Human|Assistant):(.*?)(?=\n\n(?:Human|Assistant):|\Z)", re.DOTALL)
TOP_LEFT = ' style="text-align:left;vertical-align:top"'


@dataclass(frozen=True)
class Conversations:
    """Prompts and replies. `print` shows text, a notebook's last line a table.

    prompts: rows with a "prompt", or texts. replies: column -> a reply to each prompt. notes: column -> what
    stands below each reply, in small type; a column may have none.
    """

    prompts: Sequence[Any]
    replies: Mapping[str, Sequence[str]]
    notes: Mapping[str, Sequence[str]]

    def turns(self, number: int) -> list[tuple[str, str]]:
        """Return (speaker, text) for each turn of a prompt."""
        row = self.prompts[number]
        text = str(row["prompt"]) if isinstance(row, Mapping) else str(row)
        found = [(speaker, " ".join(said.split())) for speaker, said in TURN.findall(text)]
        return [(speaker, said) for speaker, said in found if said]

    def __str__(self) -> str:
        blocks = []
        for i in range(len(self.prompts)):
            lines = [_wrap(f"{speaker}: {text}") for speaker, text in self.turns(i)]
            for name, texts in self.replies.items():
                note = f" [{self.notes[name][i]}]" if name in self.notes else ""
                lines.append(_wrap(f"{name}: {texts[i]}{note}"))
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th{TOP_LEFT}>{html.escape(x)}</th>" for x in ("prompt", *self.replies))
        rows = []
        for i in range(len(self.prompts)):
            turns = [f"<b>{who}:</b> {html.escape(text)}" for who, text in self.turns(i)]
            cells = ["<br>".join(turns), *(self._cell(name, i) for name in self.replies)]
            rows.append("".join(f"<td{TOP_LEFT}>{cell}</td>" for cell in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _cell(self, name: str, number: int) -> str:
        shown = html.escape(self.replies[name][number]) or "<i>(empty)</i>"
        if name not in self.notes:
            return shown
        return f"{shown}<br><small>{html.escape(self.notes[name][number])}</small>"


def show_conversations(
    prompts: Sequence[Any],
    replies: Mapping[str, Sequence[str]],
    *,
    gold: bool = False,
    notes: Mapping[str, Sequence[str]] | None = None,
) -> Conversations:
    """Put the replies of one or more models below each prompt.

    prompts: rows with a "prompt", or texts. replies: name -> a reply to each prompt. gold: show the gold
    reward of each reply and its parts; prompts have to be rows then. notes: name -> a text for each reply.
    """
    if gold:
        notes = {
            name: [_worth(row, reply) for row, reply in zip(prompts, texts, strict=True)]
            for name, texts in replies.items()
        }
    return Conversations(prompts, replies, notes or {})


def _worth(row: Mapping[str, Any], reply: str) -> str:
    """Return the gold reward of a reply, with its parts that are not 0."""
    parts = [f"{name} {x:+g}" for name, x in gold_components(row, reply).items() if x]
    return f"gold {gold_reward(row, reply):+g} ({', '.join(parts) or 'nothing'})"


def one_of_each_kind(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one row for each kind of question, the last of its kind."""
    return list({row["kind"]: row for row in rows}.values())


def _wrap(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()), WIDTH, subsequent_indent="    ", break_long_words=False
    )
