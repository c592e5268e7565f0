"""Processes, descriptors and uids for a sandbox: the small pieces that `launch` puts together."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from .environment import SandboxError

FIRST_UID, UIDS = 60600, 512  # not assigned to anyone (systemd.io/UIDS-GIDS)
PROCESSES = 256
FILE_BYTES = 256 << 20


class Descriptors:
    """File descriptors of one start: `theirs` go to the sandbox and are closed here in the end, `ours` only
    if the start fails."""

    def __init__(self) -> None:
        self.theirs: list[int] = []
        self.ours: list[int] = []

    def pipe(self, *, inward: bool) -> tuple[int, int]:
        """(our end, their end) of a pipe; inward: we write, they read."""
        read, write = os.pipe()
        our, their = (write, read) if inward else (read, write)
        os.set_blocking(our, False)
        self.ours.append(our)
        self.theirs.append(their)
        return our, their

    def file(self, content: bytes) -> int:
        """A descriptor in memory from which they can read `content`."""
        fd = os.memfd_create("rlhf-lab")
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        self.theirs.append(fd)
        return fd

    def close(self, fds: list[int]) -> None:
        """Close these and forget them."""
        for fd in fds[:]:
            with contextlib.suppress(OSError):
                os.close(fd)
            for known in (self.ours, self.theirs):
                if fd in known:
                    known.remove(fd)


def popen(
    command: list[str], env: dict[str, str], fds: list[int], stdin: int
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a command with this environment and these descriptors only; returns it and its stdout+stderr
    log."""
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(
        command, env=env, stdin=stdin, stdout=log, stderr=log, pass_fds=fds, start_new_session=True, cwd="/"
    )
    return process, log


def command_line(
    executable: str, request: int, reply: int, options: dict[str, Any], probe: dict[str, Any] | None
) -> list[str]:
    """The worker's command line; nothing in it names a submission."""
    text = json.dumps({**options, "file_bytes": FILE_BYTES, "probe": probe})
    return [executable, "-s", "-P", "-B", "-m", "inside.worker", str(request), str(reply), text]


def init_pid(info: int) -> int:
    """The process id of the namespace's init, from bwrap's --info-fd (ends empty if bwrap gave up)."""
    text = b""
    while select.select([info], [], [], 10.0)[0] and (part := os.read(info, 4096)):
        text += part
    return int(json.loads(text)["child-pid"])


def free_uid() -> tuple[int, socket.socket]:
    """A uid that no other sandbox on this machine uses; the abstract socket is the lock and ends with us."""
    for uid in range(FIRST_UID, FIRST_UID + UIDS):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0rlhf-lab-uid-{uid}")
            return uid, lock
        except OSError:
            lock.close()
    raise SandboxError(f"all {UIDS} uids for sandboxes are in use")


def process_limit(uid: int | None) -> int | None:
    """RLIMIT_NPROC counts a real uid's threads everywhere, and is not enforced for root."""
    if uid is not None:
        return PROCESSES
    if os.getuid() == 0:
        return None
    own = 0
    for task in Path("/proc").glob("[0-9]*/task/*"):
        with contextlib.suppress(OSError):
            own += task.stat().st_uid == os.getuid()
    return own + PROCESSES


def ended(pidfd: int, seconds: float) -> bool:
    """Has the process of this pidfd ended, within so many seconds?"""
    return bool(select.select([pidfd], [], [], seconds)[0])


def tail(log: IO[bytes], size: int = 2000) -> str:
    """The end of a log file as text."""
    with contextlib.suppress(OSError, ValueError):
        log.seek(max(0, log.seek(0, os.SEEK_END) - size))
        return log.read().decode("utf-8", "replace").strip()
    return ""
