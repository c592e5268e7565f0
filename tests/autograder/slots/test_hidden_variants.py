"""Right answers in other words lose nothing."""

from __future__ import annotations

import pytest

from tests.matrix.variants import variants
from tests.support.slot_runs import base_sources, faults, run


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("variant", variants(), ids=lambda v: v.id)
def test_a_right_answer_in_other_words_passes(variant, seed):
    ((slot, source),) = variant.changes.items()
    _, answers, residuals = run(slot, base_sources(slot, f"{variant.helpers}\n{source}"), seed)
    assert [answer.error for answer in answers if answer.error and slot != "T02"] == []
    assert faults(residuals) == []
