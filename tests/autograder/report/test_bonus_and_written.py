"""Reports of other registries: with bonus items, and with any number of written items."""

from __future__ import annotations

import io
import json

import jsonschema
import pytest
from rich.console import Console

from assignment.registry import Spec, parse_spec
from autograder.core.records import Grading, ItemResult
from autograder.core.rubric import apply_rubric
from autograder.report.canonical import report_dict
from autograder.report.gradescope import results_dict
from autograder.report.ta import ta_page
from autograder.report.terminal import print_rubric
from tests.support.registries import BONUS_T08, NO_WRITTEN, TWO_WRITTEN, edited
from tests.support.report_fixture import bundle, passing
from tests.support.sources import ROOT

SCHEMA = json.loads((ROOT / "autograder" / "report" / "report.schema.json").read_text(encoding="utf-8"))
BONUS = parse_spec(edited(*BONUS_T08))


def graded(spec: Spec, **results: ItemResult) -> Grading:
    """A submission in which all items but these have passed."""
    found = {id_: passing(id_) for id_ in spec.items} | results
    return bundle(spec=spec, graded=apply_rubric(spec, found))


NOT_ATTEMPTED = ItemResult("T08", "not_attempted", 0.0, "")
BONUS_TITLE = "Bonus, beside the points above"


@pytest.mark.parametrize("t08", [passing("T08"), NOT_ATTEMPTED], ids=lambda result: result.status)
def test_a_bonus_changes_no_score_and_has_its_own_list_in_the_report(t08: ItemResult) -> None:
    found = report_dict(graded(BONUS, T08=t08))
    assert (found["score"], found["max_score"], found["pending"]) == (100, 100, 0)
    assert [(item["id"], item["points"]) for item in found["bonus"]] == [("T08", 2 * t08.share)]
    assert "T08" not in {item["id"] for criterion in found["criteria"] for item in criterion["items"]}
    jsonschema.validate(found, SCHEMA)


def test_gradescope_names_a_bonus_in_text_and_keeps_its_maximum() -> None:
    tests = results_dict(graded(BONUS))["tests"]
    assert sum(test.get("max_score", 0) for test in tests) == 100
    (bonus,) = [test for test in tests if test["name"].startswith("T08")]
    assert "score" not in bonus
    assert bonus["output"].startswith("Bonus: 2 of 2 points, beside the score.")


def test_the_terminal_and_the_pages_show_a_bonus_which_is_never_lost() -> None:
    grading = graded(BONUS, T08=NOT_ATTEMPTED)
    console = Console(file=io.StringIO(), width=120, markup=False, emoji=False, highlight=False)
    print_rubric(grading, console)
    assert BONUS_TITLE in console.file.getvalue()  # type: ignore[attr-defined]
    page = ta_page(grading)
    assert BONUS_TITLE in page
    assert 'class="lost"' not in page


def test_each_written_item_has_its_own_questions_on_the_ta_s_page() -> None:
    waiting = {id_: ItemResult(id_, "needs_review", 0.0, "") for id_ in ("written_comparison", "essay")}
    page = ta_page(graded(parse_spec(edited(*TWO_WRITTEN)), **waiting))
    first, second = page.split('<section id="written-')[1:]
    assert first.startswith("written_comparison")
    assert "W1" in first
    assert "W2" in first
    assert second.startswith("essay")
    assert "W3" in second.split("</section>")[0]
    assert '<a href="#written-essay">' in page


def test_a_course_without_written_items_has_no_written_section() -> None:
    grading = graded(parse_spec(edited(*NO_WRITTEN)))
    assert 'id="written' not in ta_page(grading)
    assert grading.graded.score == 100
