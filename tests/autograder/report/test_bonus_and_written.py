"""Registries of other shapes in the reports: bonus items, and any number of written items."""

from __future__ import annotations

import io
import json

import jsonschema
import pytest
from rich.console import Console

from assignment.registry import spec_of
from autograder.core.records import ItemResult
from autograder.core.rubric import grade
from autograder.report.canonical import report_dict
from autograder.report.gradescope import results_dict
from autograder.report.ta import ta_page
from autograder.report.terminal import print_rubric
from tests.support.registries import BONUS_T08, NO_WRITTEN, TWO_WRITTEN, edited
from tests.support.report_fixture import bundle, passing
from tests.support.sources import ROOT

SCHEMA = json.loads((ROOT / "autograder" / "report" / "report.schema.json").read_text(encoding="utf-8"))
BONUS = spec_of(edited(*BONUS_T08))


def bonus_bundle(t08: ItemResult) -> dict:
    results = {id_: passing(id_) for id_ in BONUS.items} | {"T08": t08}
    return bundle() | {"spec": BONUS, "graded": grade(BONUS, results, {})}


@pytest.mark.parametrize("status", ["passed", "not_attempted"])
def test_a_bonus_changes_no_score_and_stands_in_its_own_list_of_the_report(status: str) -> None:
    share = float(status == "passed")
    given = bonus_bundle(ItemResult("T08", status, share, ""))  # type: ignore[arg-type]
    found = report_dict(given["graded"], given["submission"], given["run"], BONUS)
    assert (found["score"], found["max_score"], found["pending"]) == (100, 100, 0)
    assert [(item["id"], item["points"]) for item in found["bonus"]] == [("T08", 2 * share)]
    assert "T08" not in {item["id"] for criterion in found["criteria"] for item in criterion["items"]}
    jsonschema.validate(found, SCHEMA)


def test_gradescope_says_a_bonus_in_words_and_its_maximum_stays() -> None:
    given = bonus_bundle(passing("T08"))
    tests = results_dict(given["graded"], given["run"], BONUS)["tests"]
    assert sum(test.get("max_score", 0) for test in tests) == 100
    (bonus,) = [test for test in tests if test["name"].startswith("T08")]
    assert "score" not in bonus and bonus["output"].startswith("Bonus: 2 of 2 points, beside the score.")


def test_the_terminal_and_the_pages_show_a_bonus_and_nobody_loses_one() -> None:
    given = bonus_bundle(ItemResult("T08", "not_attempted", 0.0, ""))
    console = Console(file=io.StringIO(), width=120, markup=False, emoji=False, highlight=False)
    print_rubric(given["graded"], given["submission"], given["run"], BONUS, console)
    assert "Bonus, beside the points above" in console.file.getvalue()
    page = ta_page(given["graded"], given["submission"], given["answers"], given["run"], BONUS)
    assert "Bonus, beside the points above" in page and 'class="lost"' not in page


def test_each_written_item_has_its_own_questions_on_the_ta_s_page() -> None:
    spec, given = spec_of(edited(*TWO_WRITTEN)), bundle()
    waiting = {id_: ItemResult(id_, "needs_review", 0.0, "") for id_ in ("written_comparison", "essay")}
    decided = grade(spec, {id_: passing(id_) for id_ in spec.items} | waiting, {})
    page = ta_page(decided, given["submission"], given["answers"], given["run"], spec)
    first, second = page.split('<section id="written-')[1:]
    assert first.startswith("written_comparison") and "W1" in first and "W2" in first
    assert second.startswith("essay") and "W3" in second.split("</section>")[0]
    assert '<a href="#written-essay">' in page


def test_a_course_without_written_items_has_no_written_section() -> None:
    spec, given = spec_of(edited(*NO_WRITTEN)), bundle()
    decided = grade(spec, {id_: passing(id_) for id_ in spec.items}, {})
    page = ta_page(decided, given["submission"], given["answers"], given["run"], spec)
    assert 'id="written' not in page and decided.score == 100
