"""The suite itself: it covers the catalogue, its page is current, and a sample of it is acted out."""

from __future__ import annotations

import pytest

from tests.attacks import page
from tests.attacks.__main__ import main
from tests.attacks.base import FIXED, TARGET, Seen
from tests.attacks.catalogue import ATTACKS, NOT_ACTED, ROWS
from tests.attacks.page import PAGE, described
from tests.attacks.runner import gains, happened, unbounded

SLOW_TO_MAKE = ("A32", "A32c")  # archives of seconds
BASE = Seen(0, 1.0, 1 << 20, {TARGET: 0.0}, {TARGET: "wrong"}, {}, {"terminal": ""})


def test_every_row_of_the_catalogue_is_acted_out_or_named_with_its_reason():
    acted = {row for attack in ATTACKS for row in attack.rows}
    assert set(ROWS) == acted | set(NOT_ACTED)


def test_there_are_ten_attacks_of_our_own_that_combine_rows():
    assert sum(attack.id[0] == "C" for attack in ATTACKS) >= 10
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.id[0] != "S" and a.id not in SLOW_TO_MAKE], ids=lambda attack: attack.id)
def test_an_attack_differs_from_its_harmless_twin(attack):
    assert attack.hostile(FIXED) != attack.harmless() or attack.file != "submission.ipynb"


def test_the_page_describes_the_attacks_of_the_catalogue():
    text = PAGE.read_text(encoding="utf-8")
    stale = [attack.id for attack in ATTACKS if described(attack) not in text]
    assert not stale, f"run python -m tests.attacks, then python -m tests.attacks --write-docs: {stale}"
    assert all(reason in text for reason in NOT_ACTED.values())


@pytest.mark.parametrize("text", ["no table yet", f"prose {page.BEGIN} more prose", f"{page.END} {page.BEGIN}"])
def test_a_page_without_the_tables_place_is_left_as_it_is(tmp_path, monkeypatch, text):
    monkeypatch.setattr(page, "PAGE", tmp_path / "security.md")
    page.PAGE.write_text(text)
    with pytest.raises(SystemExit, match="is left as it is"):
        page.write_docs()
    assert page.PAGE.read_text() == text


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(0, 1, 1, {TARGET: 2.0}, {TARGET: "passed"}), "points gained"),
        (Seen(0, 1, 1, {TARGET: 0.0}, {TARGET: "not_gradable"}), "left open"),
        (Seen(0, 1, 1, {TARGET: 0.0}, {TARGET: "wrong"}, {"rm_accuracy": True}), "criteria met"),
    ],
)
def test_a_gain_is_seen(seen, words):
    assert any(words in complaint for complaint in gains(seen, BASE))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(3, 1, 1, texts={"terminal": ""}), "exit code 3"),
        (Seen(0, 1e4, 1, texts={"terminal": ""}), "not done"),
        (Seen(0, 1, 1 << 40, texts={"terminal": ""}), "grew to"),
        (Seen(0, 1, 1, texts={"terminal": "Traceback (most recent call last)"}), "traceback"),
    ],
)
def test_an_unbounded_run_is_seen(seen, words):
    assert any(words in complaint for complaint in unbounded(ATTACKS[0], seen))
    assert not list(unbounded(ATTACKS[0], BASE))


def test_what_happened_is_said_in_the_graders_words():
    assert happened(BASE) == "T08 wrong"
    assert happened(Seen(2, 1, 1, texts={"terminal": "Not graded. x is empty."})).startswith("refused")


@pytest.mark.slow
def test_the_quick_sample_gains_nothing_and_leaves_nothing(capsys):
    assert main(["--quick"]) == 0
    assert "gained nothing" in capsys.readouterr().out.splitlines()[-1]
