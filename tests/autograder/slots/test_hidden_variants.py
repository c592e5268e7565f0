"""Right answers that are written differently pass the hidden tests."""

from __future__ import annotations

import pytest

from tests.matrix.variants import variants
from tests.support.slot_runs import run_wrong


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("variant", variants(), ids=lambda v: v.id)
def test_a_right_answer_that_is_written_differently_passes(variant, seed):
    ((slot, source),) = variant.changes.items()
    checked = run_wrong(slot, f"{variant.helpers}\n{source}", seed)
    assert [answer.error for answer in checked.answers if answer.error and slot != "T02"] == []
    assert checked.failed == []
