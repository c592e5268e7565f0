"""Folders of a world's artefacts: replaced when all of the new ones are there, and only if nobody changed them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assignment.files import ForeignFileError
from assignment.lab.folders import MANIFEST, refuse_foreign, replaced, write_manifest
from assignment.lab.outcomes import study
from assignment.lab.ship import REFERENCE
from assignment.lab.world import World
from rlhf_kit.data import DATA
from rlhf_kit.models import BASE_MODEL
from tests.support.sources import ROOT


def fill(folder: Path, **texts: str) -> None:
    with replaced(folder) as fresh:
        for name, text in texts.items():
            (fresh / name).write_text(text)
        write_manifest(fresh, world=1)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != MANIFEST}


def test_a_folder_that_was_written_here_is_replaced_and_what_is_no_longer_made_goes(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "base"
    fill(folder, model="1", old="1")
    refuse_foreign(folder)
    fill(folder, model="2")
    assert texts(folder) == {"model": "2"} and [path.name for path in folder.parent.iterdir()] == ["base"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupt_while_files_are_made_leaves_the_older_folder(tmp_path: Path, error: BaseException) -> None:
    folder = tmp_path / "base"
    fill(folder, model="1", words="1")
    with pytest.raises(type(error)), replaced(folder) as fresh:
        (fresh / "model").write_text("2")
        raise error
    assert texts(folder) == {"model": "1", "words": "1"} and [path.name for path in tmp_path.iterdir()] == ["base"]
    refuse_foreign(folder)


@pytest.mark.parametrize("name", ["model", "notes"])
def test_a_file_that_was_changed_or_added_by_hand_is_named_and_refused(tmp_path: Path, name: str) -> None:
    fill(tmp_path, model="1", words="1")
    (tmp_path / name).write_text("mine")
    with pytest.raises(ForeignFileError, match=f"holds {name}, which"):
        refuse_foreign(tmp_path)


def test_a_folder_without_a_manifest_of_ours_is_refused_unless_it_is_empty_or_missing(tmp_path: Path) -> None:
    refuse_foreign(tmp_path, tmp_path / "missing")
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(ForeignFileError, match=MANIFEST):
        refuse_foreign(tmp_path)
    with pytest.raises(ForeignFileError, match="is a file"):
        refuse_foreign(tmp_path / MANIFEST)


def test_the_shipped_folders_may_be_made_again() -> None:
    refuse_foreign(BASE_MODEL, DATA, REFERENCE)


def test_the_command_refuses_somebody_elses_model_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    search = os.pathsep.join([str(ROOT), str(ROOT / "student_template")])
    done = subprocess.run(
        [sys.executable, "-m", "assignment.lab", "base", "--base", str(tmp_path)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": search},
    )  # fmt: skip
    assert done.returncode == 2 and "holds config.json" in done.stderr and "Traceback" not in done.stderr
    assert texts(tmp_path) == {"config.json": "{}"}


def test_outcomes_are_not_added_to_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "lab-world-1.jsonl"
    path.write_text("my notes\n")
    with pytest.raises(ForeignFileError, match="no outcome of a seed"):
        study(World.from_seed(1), [1], BASE_MODEL, path)
    assert path.read_text() == "my notes\n"
