"""What `make refresh` reports if the lists that people maintain no longer fit the solutions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assignment.registry import Spec, load_spec
from assignment.release.release import build
from autograder.slots import misconceptions
from autograder.slots.misconceptions import load_library
from tests.refresh import recheck, renew
from tests.refresh.rows import Row
from tests.submissions import make
from tests.support import slot_runs, stamps

SPEC = load_spec()


def test_every_solution_and_right_answer_passes_its_hidden_test() -> None:
    found = [*recheck.solutions(SPEC), *recheck.library(), *recheck.typical(SPEC, build())]
    assert [row for row in found if row.state != "current"] == []
    assert len(found) == 3


def test_a_solution_of_another_task_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = recheck.replacement

    def wrong(spec: Spec, slot: str) -> str:
        return right(spec, slot).replace("rejected - chosen + margin", "chosen - rejected + margin")

    monkeypatch.setattr(recheck, "replacement", wrong)
    (row,) = recheck.solutions(SPEC)  # and not T09, which calls it
    assert row.state == "by hand"
    assert row.detail.startswith("T07 fails its hidden test (gradient_chosen, ")


def test_a_solution_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = recheck.replacement
    monkeypatch.setattr(recheck, "replacement", lambda spec, slot: "1 / 0" if slot == "T08" else right(spec, slot))
    (row,) = recheck.solutions(SPEC)
    assert "T08 fails its hidden test (ZeroDivisionError" in row.detail


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("""edit = [['" " + example', 'example']]""", """edit = [['" " + sample', 'example']]""", "D16: '"),
     ("[base.T01]", "[base.T01", "cannot be read")],
)  # fmt: skip
def test_a_known_mistake_whose_edit_no_longer_matches_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    for path in misconceptions.LIBRARY.glob("*.toml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    monkeypatch.setattr(misconceptions, "LIBRARY", tmp_path)
    found = renew.places(SPEC)
    assert {row.state for row in found} == {"by hand"}
    assert any(f"data.toml: {says}" in row.detail for row in found)


def test_a_right_answer_that_became_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bases = {**load_library().bases, "T08": load_library().bases["T08"].replace("return", "return 0 *")}
    monkeypatch.setattr(slot_runs, "load_library", lambda: replace(load_library(), bases=bases))
    (row,) = recheck.library()
    assert row.state == "by hand"
    assert row.detail.startswith("[base.T08] fails its hidden test (")


def test_a_right_answer_of_the_typical_sample_that_is_wrong_now_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(make.ANSWERS, "T07", "    return (rejected - chosen).sum()")
    (row,) = recheck.typical(SPEC, build())
    assert row.state == "by hand"
    assert "ANSWERS['T07'] is meant to be right but fails the hidden test" in row.detail


def test_a_wrong_answer_of_the_typical_sample_that_is_right_now_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "WRONG", {*make.WRONG, "T07"})
    (row,) = recheck.typical(SPEC, build())
    assert row.state == "by hand"
    assert "ANSWERS['T07'] is meant to be wrong but passes the hidden test" in row.detail


@pytest.mark.parametrize(
    ("entry", "says"),
    [(("T07", "sign", "rejected - chosen + margin", "chosen - rejected + margin"), None),
     (("T07", "gone", "no such text", ""), 'T07 "gone": its text stands 0 times in the solution, not once; adapt'),
     (("T07", "twice", "chosen", "x"), "its text stands"),
     (("T07", "harmless", ".mean()", ".mean() * 1"), 'T07 "harmless" passes solutions/checks/T07.py: sharpen the'),
     (("T07", "broken", ".mean()", ".mean("), "does not parse")],
)  # fmt: skip
def test_a_mistake_that_does_not_fit_its_slot_or_is_not_caught_is_named(
    entry: tuple[str, str, str, str], says: str | None
) -> None:
    found = list(recheck.not_caught([entry]))
    assert len(found) == (says is not None)
    assert all(says in one for one in found)


def test_runs_of_older_code_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = recheck.calibration(SPEC)
    assert row.what == "docs/calibration.md"
    monkeypatch.setattr(recheck.study, "run_key", lambda lab, subject, seed, device="": f"{subject.id} {seed}")
    (row,) = recheck.calibration(SPEC)
    assert row.state == "by hand"
    assert "runs were made with older code, data or configs: `rlhf-lab calibrate`" in row.detail


def test_a_page_is_current_if_it_was_made_with_todays_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recheck.matrix, "PAGE", tmp_path / "matrix.md")
    monkeypatch.setattr(recheck.attacks, "PAGE", tmp_path / "attacks.md")
    recheck.matrix.PAGE.write_text(f"# A\n{stamps.stamp(recheck.store.page_state())}\n")
    recheck.attacks.PAGE.write_text(f"# B\n{stamps.stamp('0123abc')}\n")
    assert [row.state for row in recheck.pages()] == ["current", "by hand"]
    recheck.matrix.PAGE.write_text("# A\n")
    recheck.attacks.PAGE.unlink()
    rows: list[Row] = recheck.pages()
    assert ["does not say with which code" in row.detail for row in rows] == [True, True]
    assert "`make matrix`" in rows[0].detail
    assert "`make attacks`" in rows[1].detail
