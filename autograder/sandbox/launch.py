"""Start and end a sandbox of any tier: one worker process with two pipes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import IO, TYPE_CHECKING, Any

from autograder.inside import system
from autograder.inside.restrict import landlock_abi

from . import bwrap, landlock
from .cgroup import Cgroup, create
from .environment import SCRATCH, SCRATCH_BYTES, SandboxError, python_home
from .process import Descriptors, free_uid, init_pid, popen, process_limit, tail, wait_for_end, worker_program
from .seccomp import build_filter

if TYPE_CHECKING:
    import socket

END_SECONDS = 15.0


@dataclass
class Sandbox:
    """A running worker.

    `request` and `reply` are non-blocking ends of pipes. `init` is a pidfd of the process whose death ends every
    process inside.
    """

    process: subprocess.Popen[bytes]
    init: int
    request: int
    reply: int
    log: IO[bytes]
    cgroup: Cgroup | None = None
    folder: landlock.WorkerFolder | None = None
    lock: socket.socket | None = None

    def kill(self) -> None:
        """Kill every process inside and wait until all have ended. Safe to call twice."""
        if self.process.returncode is not None and self.init < 0:
            return
        for fd in (self.request, self.reply):
            os.close(fd)
        self.end()
        if not wait_for_end(self.init, END_SECONDS):
            self.process.kill()
            wait_for_end(self.init, END_SECONDS)
        os.close(self.init)
        self.init = -1
        self.process.wait()
        if self.cgroup is not None:
            self.cgroup.remove()
        if self.folder is not None:
            self.folder.remove()
        if self.lock is not None:
            self.lock.close()

    def end(self) -> None:
        """Tell every process inside to end, without waiting. Another thread may be reading their answer."""
        if self.folder is None:
            with contextlib.suppress(OSError):  # it has ended, or `kill` was faster
                signal.pidfd_send_signal(self.init, signal.SIGKILL)
        elif self.process.stdin is not None:
            self.process.stdin.close()  # the order to the supervisor

    def errors(self) -> str:
        """Return the last 2 kB that the worker (never student code) wrote to stderr."""
        return tail(self.log)


def start(backend: str, *, device: str, memory_group: bool, inspect: dict[str, Any] | None = None) -> Sandbox:
    """Start a worker, which sends a hello frame once it has imported its libraries.

    backend: "bwrap-root", "bwrap-user", "landlock" or "plain" (tier 0: no isolation). inspect: let the worker report
    its surroundings instead and end (see inside.diagnostics.surroundings). Raises SandboxError.
    """
    system.prctl(system.PR_SET_DUMPABLE, 0)  # code inside with the grader's uid could read its memory and environment
    # bwrap dies with the *thread* that started it (PR_SET_PDEATHSIG), so one thread that outlives all callers starts it
    return _starter(os.getpid()).submit(_start, backend, device, memory_group, inspect).result()


@cache
def _starter(_pid: int) -> ThreadPoolExecutor:
    """Return this process's thread that starts sandboxes; a forked process needs one of its own."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")


def _start(backend: str, device: str, memory_group: bool, inspect: dict[str, Any] | None) -> Sandbox:
    fds = Descriptors()
    launcher = _start_bwrap if backend.startswith("bwrap") else _start_supervised
    group = create() if memory_group else None
    try:
        if memory_group and group is None:
            raise SandboxError("no memory cgroup can be made here")
        return launcher(backend, fds, device, group, inspect)
    except BaseException as error:
        fds.close(fds.kept)
        if group is not None:
            group.remove()
        if isinstance(error, (OSError, ValueError, subprocess.SubprocessError)):
            raise SandboxError(f"the sandbox does not start: {error}") from error
        raise
    finally:
        fds.close(fds.inherited)


def _start_bwrap(
    backend: str, fds: Descriptors, device: str, group: Cgroup | None, inspect: dict[str, Any] | None
) -> Sandbox:
    home = python_home()
    uid, lock = free_uid() if backend == "bwrap-root" else (None, None)
    (request, request_in), (reply, reply_out) = fds.pipe(inward=True), fds.pipe(inward=False)
    (info, info_out), (block, block_in) = fds.pipe(inward=False), fds.pipe(inward=True)
    seccomp = fds.file(build_filter())
    arguments = fds.file(
        bwrap.options(home, device=device, uid=uid, seccomp_fd=seccomp, info_fd=info_out, block_fd=block_in)
    )
    options = {"scope_signals": False, "signals_confined": False, "scratch": [SCRATCH, "/dev/shm"],
               "scratch_bytes": 0, "processes": process_limit(uid)}  # fmt: skip
    worker = worker_program(home.executable, request_in, reply_out, options, inspect)
    command = [str(bwrap.bwrap_path()), "--args", str(arguments), "--", *bwrap.drop_prefix(uid), *worker.command]
    process, log = popen(command, {}, fds.inherited, subprocess.DEVNULL)
    fds.close(fds.inherited)
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
    backend: str, fds: Descriptors, device: str, group: Cgroup | None, inspect: dict[str, Any] | None
) -> Sandbox:
    home = python_home()
    restricted = backend == "landlock"
    uid, lock = free_uid() if restricted and landlock.can_drop(home) else (None, None)
    (request, request_in), (reply, reply_out) = fds.pipe(inward=True), fds.pipe(inward=False)
    folder = landlock.create_folder(home, uid)
    signals_confined = restricted and (uid is not None or landlock_abi() >= landlock.SIGNAL_SCOPE_ABI)
    options = {"scope_signals": restricted, "signals_confined": signals_confined, "scratch": [str(folder.scratch)],
               "scratch_bytes": SCRATCH_BYTES, "processes": process_limit(uid)}  # fmt: skip
    worker = worker_program(home.executable, request_in, reply_out, options, inspect)
    config = landlock.configuration(home, folder, worker, device=device, uid=uid, confined=restricted)
    command = [home.executable, "-s", "-P", "-B", "-m", "inside.restrict"]
    process, log = popen(command, {"PYTHONPATH": str(folder.library)}, fds.inherited, subprocess.PIPE)
    init = os.pidfd_open(process.pid)
    sandbox = Sandbox(process, init, request, reply, log, group, folder, lock)
    try:
        if group is not None:
            group.add(process.pid)
        assert process.stdin is not None
        process.stdin.write(config)  # the supervisor waits for it, so the cgroup holds from the start
        process.stdin.flush()
    except OSError as error:
        process.kill()
        process.wait()
        folder.remove()
        raise SandboxError(f"the worker does not start: {tail(log) or error}") from None
    return sandbox
