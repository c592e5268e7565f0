"""cgroup v2 in a folder that behaves like the kernel's, because these tests may run on a machine with v1.

The folder imitates the interface of the kernel's Documentation/admin-guide/cgroup-v2.rst: a new folder holds the files
of the controllers that its parent's cgroup.subtree_control names, and rmdir removes a folder with its files once no
process is in it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autograder.sandbox import cgroup
from autograder.sandbox.session import MEMORY_SLACK, WorkerSession

OWN = Path("/proc/self/cgroup")
GRADER = "user.slice/app.slice/grader.scope"  # the grader's group holds processes, so it has no controllers
FILES = {"memory": ("memory.max", "memory.swap.max", "memory.events"), "pids": ("pids.max",)}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a v2 tree in which app.slice gives memory and pids to its children; the grader is in grader.scope."""
    mkdir, rmdir, read_text = Path.mkdir, Path.rmdir, Path.read_text

    def make(folder: Path, *arguments: object, **options: object) -> None:
        mkdir(folder, *arguments, **options)
        given = (folder.parent / "cgroup.subtree_control").read_text().split()
        for name in ("cgroup.procs", "cgroup.subtree_control", *(file for one in given for file in FILES[one])):
            (folder / name).write_text("")

    def remove(folder: Path) -> None:
        if (folder / "cgroup.procs").exists() and (folder / "cgroup.procs").read_text():
            raise OSError(16, "Device or resource busy")
        shutil.rmtree(folder) if folder.is_relative_to(tmp_path) else rmdir(folder)

    def read(file: Path, *arguments: Any, **options: Any) -> str:
        return f"0::/{GRADER}\n" if file == OWN else read_text(file, *arguments, **options)

    root = tmp_path / "cgroup"
    for folder, given in ((root, "memory pids"), (root / "user.slice", "memory pids"),
                          (root / "user.slice/app.slice", "memory pids"), (root / GRADER, "")):  # fmt: skip
        folder.mkdir()
        for name, text in (("cgroup.procs", ""), ("cgroup.subtree_control", given)):
            (folder / name).write_text(text)
    (root / "cgroup.controllers").write_text("cpu memory pids")
    monkeypatch.setattr(cgroup, "ROOT", root)
    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(Path, "mkdir", make)
    monkeypatch.setattr(Path, "rmdir", remove)
    return root


def test_group_is_created_beside_that_of_the_grader_with_limits_on_processes_and_swap(kernel: Path) -> None:
    group = cgroup.create()
    assert group is not None
    assert group.version == 2
    assert group.memory == group.pids
    try:
        assert group.memory.parent == kernel / "user.slice/app.slice"  # the grader's group may not have children
        assert (group.memory / "pids.max").read_text() == str(cgroup.PROCESSES)
        assert (group.memory / "memory.swap.max").read_text() == "0"
    finally:
        group.remove()
    assert not group.memory.exists()


def test_group_takes_process_sets_limit_and_counts_kills(kernel: Path) -> None:
    group = cgroup.create()
    assert group is not None
    try:
        group.add(4711)
        assert (group.memory / "cgroup.procs").read_text() == "4711"
        group.limit_memory(123456789)
        assert (group.memory / "memory.max").read_text() == "123456789"
        assert group.oom_kills() == 0
        (group.memory / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\n")
        assert group.oom_kills() == 2
    finally:
        (group.memory / "cgroup.procs").write_text("")
        group.remove()


def test_no_group_is_created_without_memory_controller(kernel: Path) -> None:
    for folder in (kernel, kernel / "user.slice", kernel / "user.slice/app.slice"):
        (folder / "cgroup.subtree_control").write_text("cpu pids")
    assert cgroup.create() is None
    assert not list(kernel.rglob(cgroup.PREFIX + "*"))


def test_no_group_is_created_without_write_permission(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup.os, "access", lambda path, mode: False)  # as an ordinary user without delegation
    assert cgroup.create() is None
    assert not list(kernel.rglob(cgroup.PREFIX + "*"))


def test_limit_of_a_call_is_added_to_memory_of_libraries(kernel: Path) -> None:
    """The session sets the group's limit before each call. The group of this test holds no process."""
    group = cgroup.create()
    assert group is not None
    try:
        session = WorkerSession.__new__(WorkerSession)
        session.info, session._sandbox = {"rss": 300 << 20}, SimpleNamespace(cgroup=group)
        session._limit_memory(SimpleNamespace(memory_bytes=1 << 30))
        assert int((group.memory / "memory.max").read_text()) == (300 << 20) + (1 << 30) + MEMORY_SLACK
        assert session._oom_kills() == 0
        (group.memory / "memory.events").write_text("oom_kill 1\n")
        assert session._oom_kills() == 1
    finally:
        group.remove()


def test_stale_groups_are_deleted_and_used_ones_kept(kernel: Path) -> None:
    parent = kernel / "user.slice/app.slice"
    for name, processes in (("left", ""), ("used", "12\n"), ("fresh", "")):
        folder = parent / f"{cgroup.PREFIX}{name}"
        folder.mkdir()
        (folder / "cgroup.procs").write_text(processes)
        if name != "fresh":
            os.utime(folder, (0, 0))
    group = cgroup.create()
    assert group is not None
    group.remove()
    assert sorted(path.name for path in parent.glob(cgroup.PREFIX + "*")) == ["rlhf-lab-fresh", "rlhf-lab-used"]
