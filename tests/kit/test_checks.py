"""Public checks as a student meets them, with otter-grader and without it."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path

import pytest

from rlhf_kit.checks import ChecksNotFoundError, connect_grader

CHECK = """
from otter.test_files import test_case

name = "T07"
points = None

@test_case(name="small gap", failure_message="The loss of equal scores is ln 2.")
def small(loss):
    assert abs(loss(0.0) - 0.6931) < 1e-3, f"loss(0) is {loss(0.0)}"

@test_case(name="large gap", failure_message="Your loss overflows on a confident mistake.")
def large(env):
    value = env["loss"](-1000.0)
    assert value == 1000.0
"""


@pytest.fixture(params=["otter", "kit"])
def tests_dir(tmp_path: Path, request, monkeypatch) -> Path:
    """Make a folder with two checks, read once with otter and once with the kit's reader."""
    if request.param == "kit":
        monkeypatch.setitem(sys.modules, "otter", None)
        monkeypatch.setitem(sys.modules, "otter.test_files", None)
    (tmp_path / "T07.py").write_text(CHECK)
    (tmp_path / "T08.py").write_text(CHECK.replace("T07", "T08").replace("loss", "accuracy"))
    return tmp_path


def right(gap: float) -> float:
    import math

    return math.log1p(math.exp(-abs(gap))) + max(0.0, -gap)


def naive(gap: float) -> float:
    import math

    return math.log(1 + math.exp(-gap))


def test_a_right_answer_passes(tests_dir):
    result = connect_grader(tests_dir, {"loss": right}).check("T07")
    assert result.passed
    assert str(result) == "T07: all 2 checks passed"


def test_a_wrong_answer_shows_the_failure_message_and_the_error_without_a_traceback(tests_dir):
    result = connect_grader(tests_dir, {"loss": naive}).check("T07")
    text = str(result)
    assert not result.passed
    assert "1 of 2 checks passed" in text
    assert "✗ large gap" in text
    assert "Your loss overflows on a confident mistake." in text
    assert "OverflowError" in text
    assert "Traceback" not in text
    assert "T07.py" not in text


def test_a_failed_assertion_shows_its_message(tests_dir):
    text = str(connect_grader(tests_dir, {"loss": lambda gap: 1000.0}).check("T07"))
    assert "loss(0) is 1000.0" in text
    assert "AssertionError" not in text


def test_a_blank_slot_is_reported_as_unanswered(tests_dir):
    def loss(gap: float) -> float:
        raise NotImplementedError("T07: the Bradley–Terry loss")

    result = connect_grader(tests_dir, {"loss": loss}).check("T07")
    assert not result.passed
    assert str(result) == "T07: not answered yet"


def test_a_cell_that_was_not_run_is_named(tests_dir):
    text = str(connect_grader(tests_dir, {}).check("T07"))
    assert "loss: not defined; run the cell" in text


def shown(tests_dir, source: str) -> str:
    """Return what the check of T07 shows for an answer of this source, which is run like a notebook's cell."""
    space: dict[str, object] = {}
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
    exec(compile(source, "<cell>", "exec"), space)
    return str(connect_grader(tests_dir, space).check("T07"))


def test_an_error_in_an_answer_is_one_sentence_with_the_students_line(tests_dir):
    text = shown(tests_dir, "def loss(gap):\n    half = gap / 2\n    return half.item()\n")
    assert (
        "Your code stops with AttributeError: 'float' object has no attribute 'item' in line 3 of the cell, in loss: "
        "return half.item()"
    ) in text


def test_an_error_in_a_library_names_the_students_line_that_called_it(tests_dir):
    text = shown(tests_dir, "import json\ndef loss(gap):\n    return json.loads('{')\n")
    assert "Your code stops with JSONDecodeError" in text
    assert "in line 3 of the cell, in loss: return json.loads('{')" in text


def test_an_assertion_of_the_students_is_an_error_of_the_code(tests_dir):
    assert "Your code stops with AssertionError: positive" in shown(
        tests_dir, "def loss(gap):\n    assert gap > 0, 'positive'\n    return 0.0\n"
    )


def test_a_result_that_the_check_cannot_use_is_no_error_of_the_code(tests_dir):
    text = shown(tests_dir, "def loss(gap):\n    return None\n")
    assert "The check cannot use what your code returns: TypeError" in text


def test_another_slot_that_is_blank_is_named(tests_dir):
    text = shown(tests_dir, "def loss(gap):\n    raise NotImplementedError('T04: to do')\n")
    assert "Your code calls T04, which is not answered yet" in text


def test_a_text_that_was_shown_before_is_not_repeated(tests_dir):
    (tests_dir / "T07.py").write_text(
        CHECK.replace(', failure_message="The loss of equal scores is ln 2."', "").replace(
            ', failure_message="Your loss overflows on a confident mistake."', ""
        )
    )
    text = shown(tests_dir, "def loss(gap):\n    return nothing\n")
    assert text.count("NameError") == 1
    assert "the same as above" in text


def test_exit_in_an_answer_fails_the_check_and_not_the_notebook(tests_dir):
    result = connect_grader(tests_dir, {"loss": lambda gap: sys.exit(1)}).check("T07")
    assert not result.passed
    assert "SystemExit" in str(result)


def test_an_interrupt_by_the_student_stops_the_check(tests_dir):
    def loss(gap: float) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connect_grader(tests_dir, {"loss": loss}).check("T07")


def test_check_all_goes_on_after_a_failure_and_counts(tests_dir):
    report = connect_grader(tests_dir, {"loss": naive, "accuracy": right}).check_all()
    assert [result.passed for result in report.results] == [False, True]
    assert report.headline == "1 of 2 slots pass their public checks"


def test_a_function_redefined_later_is_the_one_checked(tests_dir):
    namespace = {"loss": naive}
    grader = connect_grader(tests_dir, namespace)
    assert not grader.check("T07").passed
    namespace["loss"] = right
    assert grader.check("T07").passed


def test_a_check_cannot_change_the_notebooks_names(tests_dir):
    rude = CHECK.replace('value = env["loss"]', 'env["loss"] = None; value = float')
    (tests_dir / "T07.py").write_text(rude)
    namespace = {"loss": right}
    connect_grader(tests_dir, namespace).check("T07")
    assert namespace == {"loss": right}


def test_the_error_for_an_unknown_check_names_the_known_ones(tests_dir):
    with pytest.raises(ChecksNotFoundError, match="T07, T08"):
        connect_grader(tests_dir, {}).check("T77")


def test_a_slot_id_may_be_typed_in_lower_case(tests_dir):
    assert connect_grader(tests_dir, {"loss": right}).check(" t07 ").passed


def test_the_error_for_missing_checks_names_the_searched_folders(tmp_path):
    with pytest.raises(ChecksNotFoundError, match="unpack the whole release zip"):
        connect_grader(tmp_path, {})


def test_the_namespace_is_the_callers_globals_by_default(tests_dir):
    space = {"loss": right, "connect_grader": connect_grader, "folder": tests_dir}
    exec("result = connect_grader(folder).check('T07')", space)
    assert space["result"].passed


def test_messages_are_escaped_in_the_notebook(tests_dir):
    def loss(gap: float) -> float:
        raise ValueError("<img src=x>")

    assert "<img" not in connect_grader(tests_dir, {"loss": loss}).check("T07")._repr_html_()


def test_the_stand_in_for_otter_is_removed_after_reading(tests_dir):
    before = sys.modules.get("otter")
    connect_grader(tests_dir, {"loss": right}).check("T07")
    assert before is not None or sys.modules.get("otter") is None or hasattr(sys.modules["otter"], "Notebook")


def test_export_prints_the_reason_instead_of_raising(tests_dir, monkeypatch, capsys):
    monkeypatch.chdir(tests_dir)
    assert connect_grader(tests_dir, {}).export() is None
    assert "Nothing was exported: no notebook with slots" in capsys.readouterr().out
