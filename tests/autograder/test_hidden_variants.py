"""Right answers in other words lose nothing."""

from __future__ import annotations

import pytest

from tests.autograder.slot_runs import base_sources, faults, run
from tests.autograder.slot_variants import VARIANTS
from tests.autograder.slot_variants_loops import LOOPS


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("variant", VARIANTS + LOOPS, ids=lambda v: f"{v[0]} {v[1]}")
def test_a_right_answer_in_other_words_passes(variant, seed):
    slot, _, source = variant
    _, answers, residuals = run(slot, base_sources(slot, source), seed)
    assert [answer.error for answer in answers if answer.error and slot != "T02"] == []
    assert faults(residuals) == []
