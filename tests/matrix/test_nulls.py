"""Null answers as code: the wrapper passes if it spoils nothing, and only a real rejection counts."""

from __future__ import annotations

import pytest

from assignment.registry import load_spec
from autograder.slots.hidden_tests import HIDDEN_TESTS, draw
from autograder.slots.misconceptions import in_process
from tests.matrix import nulls, outcomes
from tests.matrix.entries import Entry, answers_of

SPEC = load_spec()


def verdict(status: str, share: float = 0.0, error: str = "", **about: object) -> dict:
    return {"status": status, "share": share, "names": "", "sentence": "", "about": {"error": error, **about}}


@pytest.mark.parametrize("slot", SPEC.slots, ids=lambda s: s.id)
def test_the_wrapper_of_the_null_answers_passes_if_it_spoils_nothing(slot):
    answers = answers_of(nulls.entry_of(slot.id, slot.name, "identity", 0, nulls.IDENTITY))
    sources = [answers.prelude, *(answer.source for answer in answers.slots.values())]
    cases = draw(slot.id, 1)
    found = in_process.run_sources(slot.id, slot.name, sources, cases, 1)
    assert [r for r in HIDDEN_TESTS[slot.id].compare(cases, found) if r.fault] == []


@pytest.mark.parametrize(
    ("slot", "null", "found", "rejected"),
    [("T12", "Z01", verdict("wrong"), True),
     ("T12", "Z01", verdict("wrong", 0.5), False),
     ("T12", "Z01", verdict("passed", 1.0), False),
     ("T12", "Z01", verdict("partial", 0.5), False),
     ("T12", "Z01", verdict("not_attempted"), False),
     ("T12", "Z01", verdict("crashed", error="ValueError: too few"), False),
     ("T01", "Z13", verdict("crashed", error="TypeError: expected 2 texts"), True),
     ("T01", "Z13", verdict("crashed", error="NameError: name 'x' is not defined"), False),
     ("T01", "Z13", verdict("crashed", error="RecursionError: maximum depth"), False),
     ("T01", "Z13", verdict("crashed", error="ImportError: x", undefined=True), False),
     ("T07", "Z10", verdict("partial", SPEC.partial.gradient), True),
     ("T07", "Z10", verdict("partial", SPEC.partial.gradient + 0.1), False),
     ("T12", "Z14", verdict("not_attempted"), True),
     ("T12", "Z14", verdict("crashed", error="TypeError: x"), False)],
)  # fmt: skip
def test_a_null_answer_is_rejected_only_if_it_was_tested_and_lost_its_points(slot, null, found, rejected):
    entry = Entry("null", f"{slot} {null} 0", {slot: ""}, title=null)
    assert (outcomes.rejected(entry, {slot: found}, SPEC) == "") == rejected


def test_a_right_answer_that_is_not_defined_once_cannot_be_wrapped():
    with pytest.raises(ValueError, match="2 times"):
        nulls.renamed("def gae(x):\n    return x\n\n\ndef gae(x):\n    return 2 * x\n", "gae")


def test_null_answers_cover_every_slot_and_what_is_left_out_has_a_reason():
    given = {tuple(entry.id.split()[:2]) for entry in nulls.nulls()}
    left = {(slot.id, null) for slot in SPEC.slots for null in nulls.FORMS if nulls.why_not(slot.id, null)}
    assert len(given) + len(left) == len(SPEC.slots) * len(nulls.FORMS)
    assert not given & left
