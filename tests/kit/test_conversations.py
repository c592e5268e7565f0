"""Prompts with the replies of several models, as text and as a table."""

from __future__ import annotations

import re

import pytest

from rlhf_kit.conversations import one_of_each_kind, show_conversations
from rlhf_kit.gold import gold_components, gold_reward

PROMPT = "\n\nHuman: One?\n\nAssistant: Yes.\n\nHuman: Two?\n\nAssistant:"
ROW = {
    "prompt": "\n\nHuman: Where does the zog live?\n\nAssistant:",
    "kind": "fact",
    "subject": "zog",
    "attribute": "home",
    "answer": ["river"],
}
RIGHT, WRONG = "The zog lives in the river.", "The zog lives in the forest. What a wonderful question!"


def test_each_turn_and_each_model_gets_its_own_line():
    text = str(show_conversations([PROMPT], {"base": ["first"], "SFT": ["second"]}))
    expected = ["Human: One?", "Assistant: Yes.", "Human: Two?", "base: first", "SFT: second"]
    assert text.splitlines() == expected


def test_rows_and_texts_are_shown_alike():
    replies = {"base": [RIGHT]}
    assert str(show_conversations([ROW], replies)) == str(show_conversations([ROW["prompt"]], replies))


@pytest.mark.parametrize("reply", [RIGHT, WRONG, ""])
def test_the_gold_reward_stands_beside_its_parts(reply):
    shown = show_conversations([ROW], {"SFT": [reply]}, gold=True)
    for text in (str(shown), shown._repr_html_()):
        found = re.search(r"gold ([+-][\d.]+) \((.*?)\)", " ".join(text.split()))
        assert found, text
        assert float(found[1]) == gold_reward(ROW, reply)
        parts = {part.rsplit(" ", 1)[0]: float(part.rsplit(" ", 1)[1]) for part in found[2].split(", ")}
        assert parts == {name: x for name, x in gold_components(ROW, reply).items() if x}


def test_the_table_has_a_column_for_each_model_and_a_row_for_each_prompt():
    page = show_conversations([ROW, PROMPT], {"A": [RIGHT, "x"], "B": [WRONG, ""]})._repr_html_()
    assert re.findall(r"<th [^>]*>(.*?)</th>", page) == ["prompt", "A", "B"]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("<tr>")[2:]]
    assert [len(row) for row in rows] == [3, 3]
    assert rows[0][1:] == [RIGHT, WRONG]
    assert rows[1] == ["<b>Human:</b> One?<br><b>Assistant:</b> Yes.<br><b>Human:</b> Two?", "x", "<i>(empty)</i>"]


def test_notes_stand_below_the_replies_of_their_column():
    shown = show_conversations([ROW, PROMPT], {"A": [RIGHT, "x"], "B": [WRONG, "y"]}, notes={"B": ["seven", "<eight>"]})
    assert str(shown).count("[") == 2
    assert "B: y [<eight>]" in str(shown).splitlines()
    assert re.findall(r"<small>(.*?)</small>", shown._repr_html_()) == ["seven", "&lt;eight&gt;"]


def test_what_a_model_writes_is_no_markup():
    page = show_conversations([ROW], {"<b>": ["<script>x</script>"]})._repr_html_()
    assert "<script>" not in page
    assert "<b>Human" in page
    assert "&lt;b&gt;" in page


def test_one_of_each_kind_takes_the_last_and_keeps_the_order_of_the_kinds():
    rows = [{"kind": kind, "prompt": prompt} for kind, prompt in (("list", "a"), ("fact", "b"), ("list", "c"))]
    assert [row["prompt"] for row in one_of_each_kind(rows)] == ["c", "b"]
