"""Extraction bounds hostile source, finds the written answers, and recognises the real template as blank."""

from __future__ import annotations

import resource
from collections import Counter
from pathlib import Path

import pytest

from assignment.registry import load_spec
from assignment.release.archive import NOTEBOOK
from assignment.release.notebook import to_bytes, to_notebook
from assignment.release.passes import BuildOptions
from assignment.release.release import Layout
from assignment.release.source import load_parts
from autograder.core.records import Cell
from autograder.parsing.limited import LimitedError, ParseLimits, run_limited
from autograder.submission import extraction as module
from autograder.submission.extraction import extract
from autograder.submission.intake import read_submission
from tests.support.intake_notebooks import IMPORTS, LOSS, code, extract_here, notebook, submission, write

SPEC = load_spec()
SLOTS = len(SPEC.slots)
TEMPLATE = Layout().template / NOTEBOOK

QUESTION = "<!-- WRITTEN W1 · Which policy is best, and by which evidence? -->"


def test_child_process_and_this_process_find_the_same_answers() -> None:
    read = submission(IMPORTS, LOSS, "def f(:\n", "%%bash\nls")
    assert extract(read, SPEC) == extract_here(read)


@pytest.mark.parametrize(
    "bomb",
    [
        "x = " + "(" * 100_000,
        "x = " + "-" * 400_000 + "1",
        "x = " + "[" * 90 + "]" * 90,
        "a" * 900_000,
        "x = " + "+".join(["1"] * 150_000),
        "x = '" + "\\" * 500_000,
        "@" * 300_000,
        "a;" * 60_000,
        "# TODO T07\n" * 60_000,
        "def f(): " + "lambda: " * 50_000,
    ],
)
def test_cell_that_exhausts_the_parser_loses_only_itself(bomb: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answers = extract(submission(IMPORTS, bomb, LOSS), SPEC)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answers.slots["T07"].state == "present"
    assert after.ru_utime - before.ru_utime < 30  # CPU seconds; an ordinary notebook needs 0.1


def test_a_cell_that_kills_the_parser_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(function: str, payload: dict, limits: ParseLimits | None = None) -> dict:
        if any("bomb" in cell["source"] for cell in payload["cells"]):
            raise LimitedError("out_of_memory")
        return run_limited(function, payload, limits=limits)

    monkeypatch.setattr(module, "run_limited", fragile)
    answers = extract(submission(IMPORTS, "bomb", LOSS), SPEC)
    assert answers.slots["T07"].state == "present"
    assert any("Cell 2 takes too much" in note for note in answers.notes)


def test_if_nothing_can_be_read_every_slot_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(function: str, payload: dict, limits: object = None) -> dict:
        raise LimitedError("timeout")

    monkeypatch.setattr(module, "run_limited", never)
    answers = extract(submission(LOSS), SPEC)
    assert {answer.state for answer in answers.slots.values()} == {"missing"}
    assert len(answers.slots) == SLOTS


def test_a_written_answer_is_the_text_under_its_marker() -> None:
    text = f"{QUESTION}\n\n**Policy B.** Its reward …\n\nsecond paragraph"
    answers = extract_here(submission(Cell(0, "markdown", text), LOSS))
    assert answers.written == {"W1": "**Policy B.** Its reward …\n\nsecond paragraph", "W2": "", "W3": ""}


@pytest.mark.parametrize("text", [QUESTION, f"{QUESTION}\n\n*Your answer.*\n", "no marker"])
def test_an_untouched_written_cell_is_no_answer(text: str) -> None:
    assert extract_here(submission(Cell(0, "markdown", text))).written["W1"] == ""


@pytest.mark.parametrize("kind", ["markdown", "raw", "code"])
def test_a_written_answer_is_read_whatever_its_cell_has_become(kind: str) -> None:
    assert extract_here(submission(Cell(0, kind, f"{QUESTION}\nPolicy B."))).written["W1"] == "Policy B."


def test_no_line_of_the_handouts_questions_is_an_answer() -> None:
    cells = [cell for cell in read_submission(TEMPLATE, SPEC).cells if "WRITTEN" in cell.source]
    assert len(cells) == len(SPEC.written)
    first = Cell(0, "markdown", cells[0].source + "\n\nMy own sentence.")
    assert extract_here(submission(first, *cells[1:])).written == {"W1": "My own sentence.", "W2": "", "W3": ""}


def test_a_written_answer_is_cut_at_the_registry_s_length() -> None:
    read = submission(Cell(0, "markdown", f"{QUESTION}\n{'x' * 30_000}"))
    assert len(extract_here(read).written["W1"]) == load_spec().limits.intake.written_chars


def test_results_and_notes_of_intake_are_passed_on() -> None:
    claim = {"kind": "ppo", "rows": []}
    read = submission(Cell(0, "code", LOSS, (claim,)))
    assert extract_here(read).results == (claim,)


def test_line_ends_and_encoding_do_not_change_the_answers(tmp_path: Path) -> None:
    plain = read_submission(write(tmp_path / "a.ipynb", notebook([IMPORTS, LOSS])), SPEC)
    imports, loss = (source.replace("\n", "\r\n") for source in (IMPORTS, LOSS))
    crlf = notebook([code(imports.splitlines(keepends=True)), loss])
    other = read_submission(write(tmp_path / "b.ipynb", crlf, "utf-8-sig"), SPEC)
    assert extract_here(plain) == extract_here(other)


def test_the_solved_notebook_is_all_answered_and_its_prelude_trains_nothing(tmp_path: Path) -> None:
    path = tmp_path / "solved.ipynb"
    path.write_bytes(to_bytes(to_notebook(load_parts(load_spec()), BuildOptions(load_spec(), solved=True))))
    answers = extract_here(read_submission(path, SPEC))
    assert Counter(answer.state for answer in answers.slots.values()) == {"present": SLOTS}
    assert "load_base_model()" not in answers.prelude
    assert answers.notes == ()


@pytest.mark.skipif(not TEMPLATE.is_file(), reason="the handout has not been built")
def test_the_handout_itself_is_all_blank_with_an_empty_written_part() -> None:
    answers = extract(read_submission(TEMPLATE, SPEC), SPEC)
    assert Counter(answer.state for answer in answers.slots.values()) == {"blank": SLOTS}
    assert set(answers.written.values()) == {""}
    assert "load_base_model()" not in answers.prelude


@pytest.mark.skipif(not TEMPLATE.is_file(), reason="the handout has not been built")
@pytest.mark.parametrize("name", ["tokenizer", "profile", "device"])
def test_a_slot_that_uses_what_the_handouts_set_up_makes_is_told_that_it_is_not_there(name: str) -> None:
    cells = [cell for cell in read_submission(TEMPLATE, SPEC).cells if cell.kind == "code"]
    loss = LOSS.replace("margin)", f"margin * {name}.x)")
    answers = extract_here(submission(*(cell.source for cell in cells), loss))
    assert any(f"T07 uses `{name}`" in note for note in answers.notes)


def test_helpers_and_constants_of_another_cell_come_along_as_the_handout_says() -> None:
    loss = LOSS.replace("rejected - chosen", "gap(chosen, rejected) + EPS")
    elsewhere = "EPS = 1e-8\n\ndef gap(one, other):\n    return other - one\n\nprint(gap(1, 2))"
    answers = extract_here(submission(IMPORTS, loss, elsewhere))
    assert all(part in answers.prelude for part in ("EPS = 1e-8", "def gap", "import torch.nn.functional as F"))
    assert "print" not in answers.prelude
    assert answers.notes == ()
