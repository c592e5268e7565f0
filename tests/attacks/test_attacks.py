"""The suite of attacks covers the catalogue, its page is current, and its quick sample runs."""

from __future__ import annotations

import pytest

from tests.attacks import page
from tests.attacks.__main__ import main
from tests.attacks.base import FIXED, TARGET, RunResult
from tests.attacks.catalogue import ATTACKS, NOT_ACTED, ROWS
from tests.attacks.page import PAGE, described
from tests.attacks.runner import gains, outcome_text, unbounded

SLOW_TO_MAKE = ("A32", "A32c")  # archives that take seconds to make
BASE = RunResult(0, 1.0, 1 << 20, {TARGET: 0.0}, {TARGET: "wrong"}, {}, {"terminal": ""})


def test_every_row_of_the_catalogue_is_tried_or_listed_with_a_reason():
    tried = {row for attack in ATTACKS for row in attack.rows}
    assert set(ROWS) == tried | set(NOT_ACTED)


def test_at_least_ten_attacks_combine_rows():
    assert sum(attack.id[0] == "C" for attack in ATTACKS) >= 10
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.id[0] != "S" and a.id not in SLOW_TO_MAKE], ids=lambda attack: attack.id)
def test_an_attack_differs_from_its_harmless_version(attack):
    assert attack.hostile(FIXED) != attack.harmless() or attack.file != "submission.ipynb"


def test_the_page_describes_the_attacks_of_the_catalogue():
    text = PAGE.read_text(encoding="utf-8")
    stale = [attack.id for attack in ATTACKS if described(attack) not in text]
    assert not stale, f"run python -m tests.attacks, then python -m tests.attacks --write-docs: {stale}"
    assert all(reason in text for reason in NOT_ACTED.values())


@pytest.mark.parametrize("text", ["no table yet", f"prose {page.BEGIN} more prose", f"{page.END} {page.BEGIN}"])
def test_a_page_without_the_lines_around_the_table_is_not_changed(tmp_path, monkeypatch, text):
    monkeypatch.setattr(page, "PAGE", tmp_path / "security.md")
    page.PAGE.write_text(text)
    with pytest.raises(SystemExit, match="is left as it is"):
        page.write_docs()
    assert page.PAGE.read_text() == text


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (RunResult(0, 1, 1, {TARGET: 2.0}, {TARGET: "passed"}), "points gained"),
        (RunResult(0, 1, 1, {TARGET: 0.0}, {TARGET: "not_gradable"}), "left open"),
        (RunResult(0, 1, 1, {TARGET: 0.0}, {TARGET: "wrong"}, {"rm_accuracy": True}), "criteria met"),
    ],
)
def test_a_gain_is_reported(result, words):
    assert any(words in complaint for complaint in gains(result, BASE))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (RunResult(3, 1, 1, texts={"terminal": ""}), "exit code 3"),
        (RunResult(0, 1e4, 1, texts={"terminal": ""}), "not done"),
        (RunResult(0, 1, 1 << 40, texts={"terminal": ""}), "grew to"),
        (RunResult(0, 1, 1, texts={"terminal": "Traceback (most recent call last)"}), "traceback"),
    ],
)
def test_an_unbounded_run_is_reported(result, words):
    assert any(words in complaint for complaint in unbounded(ATTACKS[0], result))
    assert not list(unbounded(ATTACKS[0], BASE))


def test_the_outcome_is_described_by_statuses_or_by_the_refusal():
    assert outcome_text(BASE) == "T08 wrong"
    assert outcome_text(RunResult(2, 1, 1, texts={"terminal": "Not graded. x is empty."})).startswith("refused")


@pytest.mark.slow
def test_the_quick_sample_gains_nothing_and_leaves_nothing(capsys):
    assert main(["--quick"]) == 0
    assert "gained nothing" in capsys.readouterr().out.splitlines()[-1]
