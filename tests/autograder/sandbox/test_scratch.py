"""A scratch folder that a hostile call has filled is emptied and measured."""

from __future__ import annotations

import os

import pytest

from autograder.inside import system


def deep(folder, levels=1500):
    """Create a chain of folders deeper than Python's recursion limit, with paths longer than the system's limit."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


FILL = """
def answer():
    for number in range(2000):
        with open(os.path.expanduser(f"~/file{number}"), "wb") as file:
            file.write(bytes(1 << 20))
    return "all written"
"""


def test_scratch_is_bounded_in_every_tier(run):
    assert run(FILL).kind == "crashed"
    assert run("def answer(): return os.listdir(os.path.expanduser('~'))").data["value"] == []


def test_a_folder_deeper_than_the_recursion_limit_is_removed(tmp_path):
    deep(tmp_path)
    assert system.empty_folders([str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path):
    scratch, outside = tmp_path / "scratch", tmp_path / "outside"
    scratch.mkdir()
    outside.mkdir(mode=0o750)
    (outside / "kept").write_text("mine")
    (scratch / "sub").mkdir()
    for place in (scratch, scratch / "sub"):
        os.symlink(outside, place / "folder")
        os.symlink(outside / "kept", place / "file")
        os.symlink("nowhere", place / "dangling")
    assert system.empty_folders([str(scratch)])
    assert (outside / "kept").read_text() == "mine"
    assert outside.stat().st_mode & 0o777 == 0o750


def test_closed_folders_and_odd_names_are_removed(tmp_path):
    (tmp_path / "closed" / "in").mkdir(parents=True)
    (tmp_path / "closed" / "in" / "a\nb").write_text("x")
    (tmp_path / "closed").chmod(0)
    assert system.empty_folders([str(tmp_path)])


def test_folder_is_removed_with_its_content(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    deep(folder, 1100)
    system.remove_folder(str(folder))
    system.remove_folder(str(folder))  # a second time does no harm
    assert not folder.exists()


def test_bytes_in_files_and_empty_files_are_counted(tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 300_000)
    for number in range(10):
        (tmp_path / f"empty{number}").touch()
    assert 300_000 + 10 * system.PAGE <= system.disk_usage([str(tmp_path)], 1 << 30) < 400_000
    assert system.disk_usage([str(tmp_path)], 50_000) > 50_000


@pytest.mark.skipif(os.getuid() == 0, reason="root looks into every folder")
def test_a_folder_that_cannot_be_read_counts_as_too_much(tmp_path):
    (tmp_path / "hidden").mkdir(mode=0o300)
    assert system.disk_usage([str(tmp_path)], 1 << 20) > 1 << 20


def test_a_path_that_is_too_long_to_be_looked_at_counts_as_too_much(tmp_path):
    deep(tmp_path, 2500)
    assert system.disk_usage([str(tmp_path)], 1 << 30) > 1 << 30
    assert system.empty_folders([str(tmp_path)])
