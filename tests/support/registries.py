"""Make registries by editing the text of the real one."""

from __future__ import annotations

import re

from assignment.registry import REGISTRY

TEXT = REGISTRY.read_text(encoding="utf-8")


def edited(*edits: tuple[str, str], text: str = TEXT) -> str:
    """Return the registry's text with the first occurrence of each old text replaced by the new one."""
    for old, new in edits:
        assert old in text, f"{old!r} is not in the registry"
        text = text.replace(old, new, 1)
    return text


def entry(table: str, id_: str) -> str:
    """Return the text of one entry of a list, with its line `[[slot]]`."""
    found = re.search(rf'^\[\[{table}\]\]\nid = "{id_}"\n(?:[^\n]+\n)*', TEXT, re.MULTILINE)
    assert found, f"the registry has no {table} {id_}"
    return found[0]


def change(table: str, id_: str, old: str, new: str) -> tuple[str, str]:
    """Return the edit that replaces a text in one entry."""
    before = entry(table, id_)
    assert old in before, f"{old!r} is not in the entry of {id_}"
    return before, before.replace(old, new, 1)


WITHOUT_T08 = (
    (entry("slot", "T08") + "\n", ""),
    change("slot", "T07", "points = 4", "points = 6"),
    change("slot", "T09", '"T06", "T07", "T08"', '"T06", "T07"'),
    change("slot", "T15", '"T08", "T10"', '"T10"'),
    ("T08 = {wall_s = 0.04, cpu_s = 0.04, memory_bytes = 1048576, reply_bytes = 1024}\n", ""),
)  # edits: without slot T08, whose points go to T07
BONUS_T08 = (change("slot", "T08", 'criterion = "reward_model"', "bonus = true"),
             change("slot", "T07", "points = 4", "points = 6"))  # fmt: skip
_QUESTIONS = TEXT.index("\n[written]\n") + 1
_WRITTEN = entry("item", "written_comparison")
NO_WRITTEN = (
    (_WRITTEN + "\n", ""),
    change("slot", "T15", "points = 6", "points = 11"),
    (TEXT[_QUESTIONS : TEXT.index("# ----", _QUESTIONS)], ""),
)
ESSAY = """
[[item]]
id = "essay"
kind = "written"
title = "What to change next"
criterion = "evaluation"
points = 2
questions = ["W3"]
"""
TWO_WRITTEN = (
    (_WRITTEN, _WRITTEN.replace("points = 5", "points = 3").replace(', "W3"]', "]") + ESSAY),
)  # fmt: skip
