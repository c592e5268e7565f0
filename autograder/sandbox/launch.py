"""Starting a sandbox and ending it: one worker process with two pipes, whatever the tier."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

from autograder.inside import system

from . import bwrap, landlock
from .cgroup import Cgroup, create
from .environment import SCRATCH, SCRATCH_BYTES, SandboxError, python_home
from .process import Descriptors, command_line, ended, free_uid, init_pid, popen, process_limit, tail
from .seccomp import build_filter

END_SECONDS = 15.0


@dataclass
class Sandbox:
    """A running worker. `request` and `reply` are non-blocking ends of pipes; `init` is a pidfd of the
    process whose death ends everything inside."""

    process: subprocess.Popen[bytes]
    init: int
    request: int
    reply: int
    log: IO[bytes]
    cgroup: Cgroup | None = None
    stage: landlock.Stage | None = None
    lock: socket.socket | None = None

    def kill(self) -> None:
        """End every process inside and wait until none is left. Safe to call twice."""
        if self.process.returncode is not None and self.init < 0:
            return
        for fd in (self.request, self.reply):
            os.close(fd)
        self.end()
        if not ended(self.init, END_SECONDS):
            self.process.kill()
            ended(self.init, END_SECONDS)
        os.close(self.init)
        self.init = -1
        self.process.wait()
        if self.cgroup is not None:
            self.cgroup.remove()
        if self.stage is not None:
            self.stage.remove()
        if self.lock is not None:
            self.lock.close()

    def end(self) -> None:
        """Have every process inside end, without waiting. Another thread may be reading their answer."""
        if self.stage is None:
            with contextlib.suppress(OSError):  # it has ended, or `kill` was faster
                signal.pidfd_send_signal(self.init, signal.SIGKILL)
        elif self.process.stdin is not None:
            self.process.stdin.close()  # the order to the supervisor

    def errors(self) -> str:
        """What the worker (never student code) wrote to stderr, the last 2 kB."""
        return tail(self.log)


def start(backend: str, *, device: str, memory_group: bool, probe: dict[str, Any] | None = None) -> Sandbox:
    """Start a worker; it says hello when its libraries are imported. backend: "bwrap-root", "bwrap-user",
    "landlock" or "plain" (tier 0: no isolation). With `probe` it reports its surroundings instead and ends.
    Raises SandboxError."""
    system.prctl(system.PR_SET_DUMPABLE, 0)  # code inside that has our uid could read our memory and environment
    # bwrap dies with the *thread* that started it (PR_SET_PDEATHSIG): one thread that outlives all callers.
    return _starter(os.getpid()).submit(_start, backend, device, memory_group, probe).result()


@cache
def _starter(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")


def _start(backend: str, device: str, memory_group: bool, probe: dict[str, Any] | None) -> Sandbox:
    fds = Descriptors()
    launcher = _start_bwrap if backend.startswith("bwrap") else _start_supervised
    group = create() if memory_group else None
    try:
        if memory_group and group is None:
            raise SandboxError("no memory cgroup can be made here")
        return launcher(backend, fds, device, group, probe)
    except BaseException as error:
        fds.close(fds.ours)
        if group is not None:
            group.remove()
        if isinstance(error, (OSError, ValueError, subprocess.SubprocessError)):
            raise SandboxError(f"the sandbox does not start: {error}") from error
        raise
    finally:
        fds.close(fds.theirs)


def _start_bwrap(
    backend: str, fds: Descriptors, device: str, group: Cgroup | None, probe: dict[str, Any] | None
) -> Sandbox:
    home = python_home()
    uid, lock = free_uid() if backend == "bwrap-root" else (None, None)
    (request, request_in), (reply, reply_out) = fds.pipe(inward=True), fds.pipe(inward=False)
    (info, info_out), (block, block_in) = fds.pipe(inward=False), fds.pipe(inward=True)
    program = fds.file(build_filter())
    arguments = fds.file(
        bwrap.options(home, device=device, uid=uid, seccomp_fd=program, info_fd=info_out, block_fd=block_in)
    )
    options = {"scope_signals": False, "confined": False, "scratch": [SCRATCH, "/dev/shm"],
               "scratch_bytes": 0, "processes": process_limit(uid)}  # fmt: skip
    worker = command_line(home.executable, request_in, reply_out, options, probe)
    command = [str(bwrap.bwrap_path()), "--args", str(arguments), "--", *bwrap.drop_prefix(uid), *worker]
    process, log = popen(command, {}, fds.theirs, subprocess.DEVNULL)
    fds.close(fds.theirs)
    try:
        pid = init_pid(info)
        init = os.pidfd_open(pid)
        if group is not None:
            group.add(pid)
        os.write(block, b"1")
    except (OSError, ValueError, KeyError) as error:
        process.kill()
        process.wait()
        raise SandboxError(f"bubblewrap does not start: {tail(log) or error}") from None
    fds.close([info, block])
    return Sandbox(process, init, request, reply, log, group, lock=lock)


def _start_supervised(
    backend: str, fds: Descriptors, device: str, group: Cgroup | None, probe: dict[str, Any] | None
) -> Sandbox:
    home = python_home()
    walls = backend == "landlock"
    uid, lock = free_uid() if walls and landlock.can_drop(home) else (None, None)
    (request, request_in), (reply, reply_out) = fds.pipe(inward=True), fds.pipe(inward=False)
    stage = landlock.prepare(home, uid)
    confined = walls and (uid is not None or landlock.landlock_abi() >= landlock.SIGNAL_SCOPE_ABI)
    options = {"scope_signals": walls, "confined": confined, "scratch": [str(stage.scratch)],
               "scratch_bytes": SCRATCH_BYTES, "processes": process_limit(uid)}  # fmt: skip
    worker = command_line(home.executable, request_in, reply_out, options, probe)
    config = landlock.configuration(
        home, stage, device=device, uid=uid, command=worker, fds=[request_in, reply_out], confined=walls
    )
    command = [home.executable, "-s", "-P", "-B", "-m", "inside.restrict"]
    process, log = popen(command, {"PYTHONPATH": str(stage.library)}, fds.theirs, subprocess.PIPE)
    init = os.pidfd_open(process.pid)
    sandbox = Sandbox(process, init, request, reply, log, group, stage, lock)
    try:
        if group is not None:
            group.add(process.pid)
        assert process.stdin is not None
        process.stdin.write(config)  # the supervisor waits for it, so the group holds from the start
        process.stdin.flush()
    except OSError as error:
        process.kill()
        process.wait()
        stage.remove()
        raise SandboxError(f"the worker does not start: {tail(log) or error}") from None
    return sandbox
