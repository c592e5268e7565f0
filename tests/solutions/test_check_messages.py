"""What public checks say: the cause where they have told it apart, else what they saw; never another cause."""

from __future__ import annotations

import pytest

from rlhf_kit.checks import connect_grader
from tests.solutions.message import Message
from tests.solutions.messages_formulas import DATA, FORMULAS
from tests.solutions.messages_loops import LOOPS
from tests.solutions.messages_ppo import PPO
from tests.solutions.test_public_checks import CHECKS

MESSAGES = [*DATA, *FORMULAS, *LOOPS, *PPO]


@pytest.mark.parametrize("message", MESSAGES, ids=[f"{m.slot}-{m.mistake}" for m in MESSAGES])
def test_a_check_names_the_cause_and_no_other(message: Message, with_slot):
    def edit(cell: str) -> str:
        for old, new in zip(message.edits[::2], message.edits[1::2], strict=True):
            assert old in cell, f"the reference of {message.slot} has changed; adapt {message.mistake!r}"
            cell = cell.replace(old, new)
        return cell

    said = str(connect_grader(CHECKS, with_slot(message.slot, edit)).check(message.slot))
    assert [words for words in message.says if words not in said] == [], said
    assert [words for words in message.never if words in said] == [], said
