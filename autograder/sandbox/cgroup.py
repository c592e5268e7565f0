"""Limit the memory and the processes of a whole sandbox by a cgroup: v2, or v1 (as root).

rlimits hold per process and count neither tmpfs files nor memfds; only a cgroup bounds the sum. A cgroup is removed
when its sandbox ends. If the grader is killed, a small shell process that runs beside it removes the cgroup.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/sys/fs/cgroup")
PREFIX = "rlhf-lab-"
PROCESSES = 512
STALE_SECONDS = 120.0
# Waits for the end of its input (the grader has died or wants it to stop), then until the cgroup is empty.
JANITOR = (
    'read -r _; n=0; while [ $n -lt 300 ] && { [ -e "$1" ] || [ -e "$2" ]; }; do '
    'rmdir "$1" "$2" 2>/dev/null; n=$((n+1)); sleep 0.1; done'
)


@dataclass(frozen=True)
class Cgroup:
    """One cgroup's folders: v2 has one, v1 has one for memory and one for pids."""

    version: int
    memory: Path
    pids: Path
    janitor: subprocess.Popen[bytes]

    def add(self, pid: int) -> None:
        """Move a process, with what it forks from now on, into the cgroup. Raises OSError."""
        for folder in {self.memory, self.pids}:
            (folder / "cgroup.procs").write_text(str(pid))

    def limit_memory(self, size: int) -> None:
        """Set the memory limit in bytes. Swap does not extend it where the kernel counts swap."""
        if self.version == 2:
            (self.memory / "memory.max").write_text(str(size))
            return
        for _ in (1, 2):  # v1 wants memory <= memory+swap at all times: one of two orders works
            with contextlib.suppress(OSError):
                (self.memory / "memory.limit_in_bytes").write_text(str(size))
            with contextlib.suppress(OSError):
                (self.memory / "memory.memsw.limit_in_bytes").write_text(str(size))

    def oom_kills(self) -> int:
        """Count the processes of the cgroup that the kernel killed because memory ran out."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError):
            found = re.search(r"^oom_kill (\d+)", (self.memory / name).read_text(), re.MULTILINE)
            return int(found.group(1)) if found else 0
        return 0

    def remove(self) -> None:
        """Delete the folders, waiting up to 2 seconds for the last processes to end."""
        for folder in {self.memory, self.pids}:
            for _ in range(100):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                else:
                    break
        assert self.janitor.stdin is not None
        self.janitor.stdin.close()
        self.janitor.wait()


def create() -> Cgroup | None:
    """Create a cgroup below or beside the grader's, or return None if this machine does not allow it."""
    name = f"{PREFIX}{os.getpid()}-{os.urandom(6).hex()}"
    for parent in _candidates_v2():
        folder = parent / name
        if (made := _make(folder, ("memory.max", "pids.max"))) is not None:
            group = Cgroup(2, made, made, _janitor(made, made))
            with contextlib.suppress(OSError):
                (made / "memory.swap.max").write_text("0")
            return _checked(group)
    folders = [made for parent, limit in _candidates_v1() if (made := _make(parent / name, (limit,)))]
    if len(folders) == 2:
        return _checked(Cgroup(1, folders[0], folders[1], _janitor(*folders)))
    for folder in folders:
        folder.rmdir()
    return None


def _janitor(memory: Path, pids: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", JANITOR, "janitor", str(memory), str(pids)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, env={"PATH": "/usr/bin:/bin"}, cwd="/",
    )  # fmt: skip


def _checked(group: Cgroup) -> Cgroup | None:
    try:
        (group.pids / "pids.max").write_text(str(PROCESSES))
        group.limit_memory(64 << 30)
    except OSError:
        group.remove()
        return None
    return group


def _make(folder: Path, needed: tuple[str, ...]) -> Path | None:
    """Create a folder of a cgroup. Return None unless it has the controllers' files and the grader may write them."""
    _sweep(folder.parent)
    try:
        folder.mkdir()
    except OSError:
        return None
    if all(os.access(folder / name, os.W_OK) for name in (*needed, "cgroup.procs")):
        return folder
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None


def _sweep(parent: Path) -> None:
    """Delete empty cgroups that a killed grader left behind; rmdir refuses one that is in use."""
    for old in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                old.rmdir()


def _current_paths() -> dict[str, str]:
    """Read the path of the grader's cgroup by controller ("" stands for v2) from /proc/self/cgroup."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update({name: path.lstrip("/") for name in controllers.split(",")})
    return paths


def _candidates_v2() -> Iterator[Path]:
    """Yield the grader's cgroup and its parents as far as they give their children the two controllers.

    A cgroup that holds processes may not, so it is often one of the parents.
    """
    if not (ROOT / "cgroup.controllers").exists():
        return
    current = ROOT / _current_paths().get("", "")
    for folder in (current, *current.parents):
        if folder == ROOT or ROOT in folder.parents:
            with contextlib.suppress(OSError):
                if {"memory", "pids"} <= set((folder / "cgroup.subtree_control").read_text().split()):
                    yield folder


def _candidates_v1() -> list[tuple[Path, str]]:
    """Return, for each of the two controllers, the folder of the grader's cgroup and the file of its limit."""
    found = []
    for controller, limit in (("memory", "memory.limit_in_bytes"), ("pids", "pids.max")):
        base = ROOT / controller
        current = base / _current_paths().get(controller, "")
        folder = current if current.is_dir() else base
        if folder.is_dir():
            found.append((folder, limit))
    return found
