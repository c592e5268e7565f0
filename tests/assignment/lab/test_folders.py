"""Folders of a world's artefacts are replaced only when the new ones are complete, and only if nobody changed them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from assignment.files import ForeignFileError
from assignment.lab.folders import MANIFEST, REFERENCE, refuse_foreign, replaced, write_manifest
from assignment.lab.outcomes import append_outcomes
from assignment.lab.world import World
from rlhf_kit.data import DATA
from rlhf_kit.models import BASE_MODEL
from rlhf_kit.recorded import RECORDED
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def fill(folder: Path, **texts: str) -> None:
    with replaced(folder) as fresh:
        for name, text in texts.items():
            (fresh / name).write_text(text)
        write_manifest(fresh, world=1)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != MANIFEST}


def test_written_folder_is_replaced_and_loses_files_that_are_no_longer_written(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "base"
    fill(folder, model="1", old="1")
    refuse_foreign(folder)
    fill(folder, model="2")
    assert texts(folder) == {"model": "2"}
    assert [path.name for path in folder.parent.iterdir()] == ["base"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_error_while_files_are_written_leaves_the_older_folder(tmp_path: Path, error: BaseException) -> None:
    folder = tmp_path / "base"
    fill(folder, model="1", words="1")

    def interrupted() -> None:
        with replaced(folder) as fresh:
            (fresh / "model").write_text("2")
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert texts(folder) == {"model": "1", "words": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
    refuse_foreign(folder)


@pytest.mark.parametrize("name", ["model", "notes"])
def test_file_that_was_changed_or_added_by_hand_is_refused_by_name(tmp_path: Path, name: str) -> None:
    fill(tmp_path, model="1", words="1")
    (tmp_path / name).write_text("mine")
    with pytest.raises(ForeignFileError, match=f"holds {name}, which"):
        refuse_foreign(tmp_path)


def test_folder_without_a_valid_manifest_is_refused_unless_it_is_empty_or_missing(tmp_path: Path) -> None:
    refuse_foreign(tmp_path, tmp_path / "missing")
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(ForeignFileError, match=MANIFEST):
        refuse_foreign(tmp_path)
    with pytest.raises(ForeignFileError, match="is a file"):
        refuse_foreign(tmp_path / MANIFEST)


def test_shipped_folders_may_be_replaced() -> None:
    refuse_foreign(BASE_MODEL, DATA, REFERENCE, RECORDED)


def test_command_refuses_a_foreign_folder_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    search = os.pathsep.join([str(ROOT), str(ROOT / "student_template")])
    done = subprocess.run(
        [sys.executable, "-m", "assignment.lab", "base", "--base", str(tmp_path)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": search},
    )  # fmt: skip
    assert done.returncode == 2
    assert "holds config.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert texts(tmp_path) == {"config.json": "{}"}


def test_outcomes_are_not_appended_to_another_file(tmp_path: Path) -> None:
    path = tmp_path / "lab-world-1.jsonl"
    path.write_text("my notes\n")
    with pytest.raises(ForeignFileError, match="no outcome of a seed"):
        append_outcomes(World.from_seed(1), [1], BASE_MODEL, path)
    assert path.read_text() == "my notes\n"
