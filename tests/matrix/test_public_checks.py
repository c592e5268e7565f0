"""Public checks catch half of each slot's known mistakes with the library's sentence, and refuse no right answer."""

from __future__ import annotations

import pytest

from autograder.slots.misconceptions import load_library
from tests.matrix.entries import Entry
from tests.matrix.public import catches, failure_messages
from tests.matrix.variants import variants
from tests.support.slot_runs import SLOTS

SLOW = {"T14"}
BY_SPEED = [pytest.param(slot, marks=pytest.mark.slow if slot in SLOW else ()) for slot in SLOTS]


@pytest.mark.parametrize("slot", BY_SPEED)
def test_half_of_a_slots_mistakes_are_caught_with_the_librarys_sentence(slot):
    mistakes = load_library().mistakes[slot]
    found = {m.id: catches(Entry("mistake", m.id, {slot: m.source}), slot, m.sentence) for m in mistakes}
    alike = [id_ for id_, (_, same) in found.items() if same]
    assert 2 * len(alike) >= len(mistakes), f"{found}: with its sentence {alike}"


@pytest.mark.parametrize("slot", BY_SPEED)
def test_no_right_answer_is_refused(slot):
    refused = {v.id: failure_messages(v, slot) for v in variants() if slot in v.changes}
    assert {name: messages for name, messages in refused.items() if messages} == {}
