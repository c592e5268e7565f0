"""The committed sample submissions are what their script makes from the current notebook."""

from __future__ import annotations

import pytest

from assignment.registry import load_spec
from assignment.release.release import build
from autograder.submission.extraction import extract
from autograder.submission.intake import read_submission
from tests.submissions import make

SPEC = load_spec()

STALE = "run `make refresh` and commit the result"


@pytest.mark.parametrize("name", ["typical", "blank"])
def test_the_sample_is_current(name):
    assert (make.HERE / f"{name}.ipynb").read_bytes() == make.SAMPLES[name](build()), STALE


def test_typical_leaves_one_slot_undone_and_finds_its_helpers():
    answers = extract(read_submission(make.HERE / "typical.ipynb", SPEC), SPEC)
    states = {slot: answer.state for slot, answer in answers.slots.items()}
    assert {slot for slot, state in states.items() if state != "present"} == make.UNDONE
    assert all(name in answers.prelude for name in ("def masked_mean", "def make_optimizer"))
    assert all(answers.written.values())


def test_blank_answers_nothing():
    answers = extract(read_submission(make.HERE / "blank.ipynb", SPEC), SPEC)
    assert {answer.state for answer in answers.slots.values()} == {"blank"}
    assert not any(answers.written.values())
