"""The gate compares the register of claims with the marks in the text."""

from __future__ import annotations

import pytest

from assignment.release.release import Layout, build, write
from assignment.verify.claims import check_claims
from assignment.verify.gate import run_gate
from assignment.verify.static import FailedCheckError
from tests.support.course import edit_file

PROSE = "# Prose with a formula"
CLAIM = """
[[claim]]
id = "{id}"
part = "p3_sft.py"
says = "the loss falls"
figure = "sft_last_loss"
above = 0.5
"""


def registered(layout: Layout, *ids: str) -> None:
    """Add claims about part 3 to the course's register."""
    text = layout.claims.read_text(encoding="utf-8")
    layout.claims.write_text(text + "".join(CLAIM.format(id=id_) for id_ in ids), encoding="utf-8")


def marked(layout: Layout, mark: str, part: str = "p3_sft.py") -> None:
    """Put a mark before the prose of a part."""
    edit_file(layout.solutions / part, PROSE, PROSE.replace("Prose", f"{mark} Prose"))


def problems(layout: Layout) -> list[str]:
    with pytest.raises(FailedCheckError) as error:
        check_claims(build(layout), layout)
    return error.value.problems


def test_claims_with_their_marks_pass(layout: Layout) -> None:
    registered(layout, "loss_falls", "loss_falls_fast")
    marked(layout, "<!-- CLAIM loss_falls loss_falls_fast -->")
    assert check_claims(build(layout), layout) == "2 claims, each marked in its part"


def test_claim_without_a_mark_is_named_with_the_mark_to_write(layout: Layout) -> None:
    registered(layout, "loss_falls")
    (line,) = problems(layout)
    assert line == ("claim loss_falls has no mark in p3_sft.py: write `<!-- CLAIM loss_falls -->` before its sentence")


def test_mark_without_a_claim_is_named_with_its_line(layout: Layout) -> None:
    marked(layout, "<!-- CLAIM loss_falls -->")
    line_of_mark = (layout.solutions / "p3_sft.py").read_text(encoding="utf-8").split("CLAIM")[0].count("\n") + 1
    assert problems(layout) == [
        f"p3_sft.py:{line_of_mark}: the mark names claim loss_falls, which the register does not have"
    ]


def test_claim_that_is_marked_twice_is_named_with_both_lines(layout: Layout) -> None:
    registered(layout, "loss_falls")
    marked(layout, "<!-- CLAIM loss_falls --> Once and <!-- CLAIM loss_falls -->")
    (line,) = problems(layout)
    assert "claim loss_falls is already marked in p3_sft.py:" in line


def test_mark_in_another_part_than_the_register_says_is_named(layout: Layout) -> None:
    registered(layout, "loss_falls")
    marked(layout, "<!-- CLAIM loss_falls -->", part="p2_data.py")
    (line,) = problems(layout)
    assert "claim loss_falls belongs in p3_sft.py" in line


def test_wrong_register_is_said_by_the_gate_which_goes_on(layout: Layout) -> None:
    write(build(layout), layout)
    registered(layout, "loss_falls", "loss_falls")
    results = {result.name: result for result in run_gate(layout, static_only=True)}
    assert results["claims"].problems == ("[[claim]] loss_falls: two claims have this id",)
    assert results["notebook"].ok


def test_marks_stand_in_neither_notebook_and_leave_the_text_as_it_was(layout: Layout) -> None:
    before = build(layout)
    marked(layout, "<!-- CLAIM loss_falls -->")
    after = build(layout)
    assert after.solved == before.solved
    assert after.generated["rlhf.ipynb"] == before.generated["rlhf.ipynb"]
