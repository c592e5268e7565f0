"""Processes, file descriptors and uids of a sandbox, from which `launch` builds one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .environment import SandboxError

FIRST_UID, UIDS = 60600, 512  # not assigned to anyone (systemd.io/UIDS-GIDS)
PROCESSES = 256
FILE_BYTES = 256 << 20


class Descriptors:
    """File descriptors of one start.

    `inherited` are passed to the sandbox and closed in the grader once it has started. `kept` stay open in the grader
    unless the start fails.
    """

    def __init__(self) -> None:
        self.inherited: list[int] = []
        self.kept: list[int] = []

    def pipe(self, *, inward: bool) -> tuple[int, int]:
        """Open a pipe and return (the grader's end, the sandbox's end). inward: the grader writes."""
        read, write = os.pipe()
        kept, inherited = (write, read) if inward else (read, write)
        os.set_blocking(kept, False)
        self.kept.append(kept)
        self.inherited.append(inherited)
        return kept, inherited

    def file(self, content: bytes) -> int:
        """Return a descriptor of a file in memory from which the sandbox can read `content`."""
        fd = os.memfd_create("rlhf-lab")
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        self.inherited.append(fd)
        return fd

    def close(self, fds: list[int]) -> None:
        """Close these descriptors and forget them."""
        for fd in fds[:]:
            with contextlib.suppress(OSError):
                os.close(fd)
            for known in (self.kept, self.inherited):
                if fd in known:
                    known.remove(fd)


@dataclass(frozen=True)
class WorkerProgram:
    """The worker's command line, and the descriptors of its two pipes."""

    command: list[str]
    fds: list[int]


def popen(
    command: list[str], env: dict[str, str], fds: list[int], stdin: int
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a command with only this environment and these descriptors.

    Returns the process and the log of its standard output and standard error.
    """
    log = tempfile.TemporaryFile()  # noqa: SIM115 (the Sandbox keeps it)
    process = subprocess.Popen(
        command, env=env, stdin=stdin, stdout=log, stderr=log, pass_fds=fds, start_new_session=True, cwd="/"
    )
    return process, log


def worker_program(
    executable: str, request: int, reply: int, options: dict[str, Any], inspect: dict[str, Any] | None
) -> WorkerProgram:
    """Build the worker's command line, which names no submission, for its ends of the two pipes.

    With `inspect` the worker only reports its surroundings: see inside.diagnostics.surroundings.
    """
    text = json.dumps({**options, "file_bytes": FILE_BYTES, "inspect": inspect})
    command = [executable, "-s", "-P", "-B", "-m", "inside.worker", str(request), str(reply), text]
    return WorkerProgram(command, [request, reply])


def init_pid(info: int) -> int:
    """Read the process id of the namespace's init from bwrap's --info-fd. Raises ValueError if bwrap wrote nothing."""
    text = b""
    while select.select([info], [], [], 10.0)[0] and (part := os.read(info, 4096)):
        text += part
    return int(json.loads(text)["child-pid"])


def free_uid() -> tuple[int, socket.socket]:
    """Return a uid that no other sandbox on this machine uses, and its lock, which ends with the grader's process.

    The lock is a bound abstract socket. Raises SandboxError if all uids are taken.
    """
    for uid in range(FIRST_UID, FIRST_UID + UIDS):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0rlhf-lab-uid-{uid}")
            return uid, lock
        except OSError:
            lock.close()
    raise SandboxError(f"all {UIDS} uids for sandboxes are in use")


def process_limit(uid: int | None) -> int | None:
    """Compute RLIMIT_NPROC for the worker: it counts all threads of a real uid, and the kernel ignores it for root.

    uid: the sandbox's own uid, or None if the worker keeps the grader's. Returns None for root.
    """
    if uid is not None:
        return PROCESSES
    if os.getuid() == 0:
        return None
    running = 0
    for task in Path("/proc").glob("[0-9]*/task/*"):
        with contextlib.suppress(OSError):
            running += task.stat().st_uid == os.getuid()
    return running + PROCESSES


def wait_for_end(pidfd: int, seconds: float) -> bool:
    """Wait at most so many seconds for the process of this pidfd to end, and say whether it did."""
    return bool(select.select([pidfd], [], [], seconds)[0])


def tail(log: IO[bytes], size: int = 2000) -> str:
    """Return the last `size` bytes of a log file as text."""
    with contextlib.suppress(OSError, ValueError):
        log.seek(max(0, log.seek(0, os.SEEK_END) - size))
        return log.read().decode("utf-8", "replace").strip()
    return ""
