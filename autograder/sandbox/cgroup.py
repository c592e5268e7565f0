"""A memory and process limit for one sandbox as a whole: cgroup v2, or v1 written directly (as root).

rlimits hold per process and count neither tmpfs files nor memfd; only a cgroup bounds the sum. A group is
removed when its sandbox ends; should the grader be killed, a small shell beside it removes the group.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PREFIX = "rlhf-lab-"
PROCESSES = 512
STALE_SECONDS = 120.0
# Waits for the end of its input, which is the grader's death or the order to stop; then for the group to empty.
JANITOR = (
    'read -r _; n=0; while [ $n -lt 300 ] && { [ -e "$1" ] || [ -e "$2" ]; }; do '
    'rmdir "$1" "$2" 2>/dev/null; n=$((n+1)); sleep 0.1; done'
)


@dataclass(frozen=True)
class Cgroup:
    """The folders of one group: v2 has one, v1 one for memory and one for pids."""

    version: int
    memory: Path
    pids: Path
    janitor: subprocess.Popen[bytes]

    def add(self, pid: int) -> None:
        """Move a process (and what it forks from now on) into the group. Raises OSError."""
        for folder in {self.memory, self.pids}:
            (folder / "cgroup.procs").write_text(str(pid))

    def limit_memory(self, size: int) -> None:
        """Set the memory limit in bytes; swap does not extend it where the kernel counts swap."""
        if self.version == 2:
            (self.memory / "memory.max").write_text(str(size))
            return
        for _ in (1, 2):  # v1 wants memory <= memory+swap at all times: one of two orders works
            with contextlib.suppress(OSError):
                (self.memory / "memory.limit_in_bytes").write_text(str(size))
            with contextlib.suppress(OSError):
                (self.memory / "memory.memsw.limit_in_bytes").write_text(str(size))

    def oom_kills(self) -> int:
        """How many processes of the group the kernel has killed for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError):
            found = re.search(r"^oom_kill (\d+)", (self.memory / name).read_text(), re.MULTILINE)
            return int(found.group(1)) if found else 0
        return 0

    def remove(self) -> None:
        """Delete the folders; the last processes may need a moment to leave."""
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
    """A new group below or beside our own, or None where this machine lets us have none."""
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
    """Create a group; None unless it has the controllers' files and we may write them."""
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
    """Delete empty groups that a killed grader left; rmdir refuses one that is in use."""
    for old in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                old.rmdir()


def _own_paths() -> dict[str, str]:
    """Controller -> our own group's path, from /proc/self/cgroup ("" is v2)."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update({name: path.lstrip("/") for name in controllers.split(",")})
    return paths


def _candidates_v2() -> Iterator[Path]:
    """Own group, its parents, the root: a group with processes may not give controllers to its children."""
    if not (ROOT / "cgroup.controllers").exists():
        return
    own = ROOT / _own_paths().get("", "")
    for folder in (own, *own.parents):
        if folder == ROOT or ROOT in folder.parents:
            with contextlib.suppress(OSError):
                if {"memory", "pids"} <= set((folder / "cgroup.subtree_control").read_text().split()):
                    yield folder


def _candidates_v1() -> list[tuple[Path, str]]:
    found = []
    for controller, limit in (("memory", "memory.limit_in_bytes"), ("pids", "pids.max")):
        base = ROOT / controller
        own = base / _own_paths().get(controller, "")
        folder = own if own.is_dir() else base
        if folder.is_dir():
            found.append((folder, limit))
    return found
