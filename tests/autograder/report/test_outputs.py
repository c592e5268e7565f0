"""The file for Gradescope and the terminal show the numbers of the rubric, and only texts of the grader."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from autograder.core.messages import PENDING
from autograder.core.progress import GradingProgress
from autograder.core.records import ItemResult
from autograder.core.rubric import apply_rubric
from autograder.report.feedback import feedback_page
from autograder.report.gradescope import results_dict
from autograder.report.ta import ta_page
from autograder.report.terminal import print_rubric
from tests.support.report_fixture import CANARY, SPEC, bundle, graded, passing, typical_results


def results(**changes: object) -> dict:
    return results_dict(bundle(**changes))


def shown(hostile: bool = False, **changes: object) -> str:
    console = Console(file=io.StringIO(), width=120, markup=False, emoji=False, highlight=False)
    print_rubric(bundle(hostile, **changes), console)
    return console.file.getvalue()


def test_gradescope_lists_every_item_so_that_its_maximum_is_the_rubric_s() -> None:
    tests = results()["tests"]
    assert [t["name"].split(" · ")[0] for t in tests] == list(SPEC.items)
    assert sum(t["max_score"] for t in tests) == SPEC.max_points


def test_gradescope_s_score_is_the_sum_of_its_tests() -> None:
    given = results()
    assert abs(given["score"] - sum(t["score"] for t in given["tests"])) < 1e-9


def test_gradescope_shows_pending_items_as_neither_passed_nor_failed() -> None:
    given = bundle().graded
    pending = {i.result.id for c in given.criteria for i in c.items if i.result.status in PENDING}
    without = {t["name"].split(" · ")[0] for t in results()["tests"] if "status" not in t}
    assert pending == without != set()


def test_gradescope_lists_items_that_were_not_run_without_a_status() -> None:
    tests = results(graded=apply_rubric(SPEC, {"T07": passing("T07")}))["tests"]
    assert sum("status" in t for t in tests) == 1
    assert sum(t["max_score"] for t in tests) == SPEC.max_points


def test_gradescope_shows_students_no_evidence() -> None:
    poisoned = {id_: dataclasses.replace(r, evidence={"traceback": CANARY}) for id_, r in typical_results().items()}
    text = str(results(graded=graded(poisoned)))
    assert CANARY not in text
    assert "homework_final" not in text
    assert "The sigmoid without its logarithm" in text


@pytest.mark.parametrize(("id_", "rule"), [
    ("T07", "a wrong gradient earn 30% of the points"), ("comparison", "the 9 kinds of fields"),
    ("quality_lint", "the share of slots that are answered"),
])  # fmt: skip
def test_partial_credit_is_explained_in_all_three_reports(id_: str, rule: str) -> None:
    spec = SPEC.model_copy(update={"partial": SPEC.partial.model_copy(update={"gradient": 0.3, "field_kinds": 9})})
    for status, told in (("partial", True), ("wrong", False)):
        given = bundle(spec=spec, graded=apply_rubric(spec, {id_: ItemResult(id_, status, 0.5, "x.")}))
        texts = (
            ta_page(given), feedback_page(given),
            str(results_dict(given)),
        )  # fmt: skip
        assert [rule in text for text in texts] == [told] * 3


def test_gradescope_gets_plain_text() -> None:
    given = results()
    assert {given["output_format"]} | {t["output_format"] for t in given["tests"]} == {"text"}
    assert given["stdout_visibility"] == "hidden"


def test_the_table_shows_every_item_its_points_and_the_verdict() -> None:
    text = shown()
    for item in SPEC.item_list:
        assert item.id in text
    assert "72.1 / 100, 5 pending · Not passed" in text
    assert "– / 5" in text
    assert "seed 20261121" in text


def test_the_table_has_no_control_sequences_of_the_submission() -> None:
    text = shown(hostile=True)
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "⟦U+202E⟧" in text


def test_markup_of_the_terminal_library_is_not_interpreted() -> None:
    given = bundle()
    assert "[bold]x[/bold]" in shown(submission=dataclasses.replace(given.submission, name="[bold]x[/bold]"))


def test_items_that_were_not_run_are_named_under_the_table() -> None:
    text = shown(graded=apply_rubric(SPEC, {"T07": passing("T07")}))
    assert "Not graded in this run: T01" in text
    assert "Not decided yet" in text


def test_progress_when_piped_is_one_plain_line_a_step() -> None:
    console = Console(file=io.StringIO(), width=120)
    with GradingProgress(console) as progress:
        slots, training = progress.start("T01", 10), progress.start("SFT \x1b[31mtraining")
        for step in (training, slots):
            step.advance(5, "loss 2.1")
            step.done("passed")
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("SFT ⟦ESC⟧[31mtraining: passed (")
    assert lines[1].startswith("T01: passed (")


def test_progress_on_a_terminal_restores_the_cursor_after_an_error() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)

    def stop_in_the_middle() -> None:
        with GradingProgress(console) as progress:
            progress.start("T01").advance(1)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop_in_the_middle()
    text = console.file.getvalue()
    assert text.rindex("\x1b[?25h") > text.index("\x1b[?25l")


def test_quiet_progress_prints_nothing() -> None:
    console = Console(file=io.StringIO(), width=80)
    with GradingProgress(console, quiet=True) as progress:
        progress.start("T01").done()
    assert console.file.getvalue() == ""
