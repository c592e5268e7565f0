"""One session serves many submissions: what it served before changes nothing."""

from __future__ import annotations

import pytest

from tests.matrix import entries
from tests.matrix.entries import Entry
from tests.matrix.grading import Grader
from tests.matrix.store import Store


@pytest.mark.slow
def test_a_call_in_a_session_that_served_others_equals_a_call_in_a_fresh_one(tmp_path):
    wrong = {entry.id: entry for entry in entries.misconceptions()}
    mine, before = wrong["T12 P16"], [wrong["T10 K03"], wrong["T07 R02"], wrong["T04 S20"]]

    def graded(*first: Entry) -> dict[str, dict]:
        grader = Grader(Store(tmp_path / str(len(first))))
        try:
            for entry in first:
                grader.graded("slots", entry, 1)
            return grader.graded("slots", mine, 1)
        finally:
            grader.close()

    old, fresh = graded(*before), graded()
    assert old == fresh
