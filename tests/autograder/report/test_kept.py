"""A new run replaces reports, but no file that a person wrote or edited in their folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from assignment.release.release import build
from autograder import cli, report
from autograder.grading import run as grading
from tests.support.report_fixture import bundle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with the reports of an earlier run."""
    report.write_reports(tmp_path / "out", bundle())
    return tmp_path / "out"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reports_of_an_earlier_run_are_replaced_each_time(out: Path) -> None:
    before = contents(out)
    for hostile in (True, False, True):
        report.write_reports(out, bundle(hostile=hostile))
    after = contents(out)
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in report.REPORTS)


@pytest.mark.parametrize("name", report.REPORTS)
def test_a_report_that_was_edited_is_not_replaced(out: Path, name: str) -> None:
    with (out / name).open("a") as file:
        file.write("5 points for the comparison")
    before = contents(out)
    assert report.obstacle(out).startswith(f"{name} in {out} would be replaced")
    with pytest.raises(FileExistsError, match="move it away"):
        report.write_reports(out, bundle(hostile=True))
    assert contents(out) == before


@pytest.mark.parametrize("name", report.REPORTS)
def test_a_file_that_is_no_report_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=name):
        report.write_reports(tmp_path, bundle())
    assert contents(tmp_path) == {name: b"mine"}


def test_other_files_in_the_folder_are_no_obstacle_and_stay(out: Path) -> None:
    (out / "notes.md").write_text("mine")
    report.write_reports(out, bundle())
    assert (out / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": {"report.json": 3}}', '{"sha256": null}'])
def test_without_a_record_that_can_be_read_reports_are_kept(out: Path, text: str) -> None:
    (out / report.RECORD).write_text(text)
    assert "report.json" in report.obstacle(out)


def test_a_folder_with_an_edited_report_is_refused_before_anything_is_graded(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = tmp_path / "blank.ipynb"
    blank.write_bytes(build().generated["rlhf.ipynb"])
    (out / "results.json").write_text(json.dumps({"score": 95}))
    monkeypatch.setattr(grading, "read_submission", lambda *_: pytest.fail("the submission was read"))
    result = CliRunner().invoke(cli.app, ["grade", str(blank), "--out", str(out)])
    assert result.exit_code == 3, result.output
    assert "Not graded. results.json in" in result.output
    assert "Traceback" not in result.output
