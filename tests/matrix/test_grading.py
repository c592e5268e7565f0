"""A session serves many submissions, and its earlier calls change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import entries
from tests.matrix.grading import Grader
from tests.matrix.store import Store

if TYPE_CHECKING:
    from tests.matrix.entries import Entry


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
