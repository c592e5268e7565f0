"""Probes of what student code can reach: network, files, environment, other processes, later calls."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.sandbox.environment import worker_environment

from .probe import ProbeResult, holds_if_empty, incomplete, processes_named, run_inside, unique_process_name

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession


def network(session: WorkerSession) -> ProbeResult:
    """Test that student code reaches no server on this machine or elsewhere, and no local service's socket."""
    name = "\0canary-" + secrets.token_hex(8)
    with (
        tempfile.TemporaryDirectory(prefix="canary-") as folder,
        socket.create_server(("127.0.0.1", 0)) as local,
        socket.socket(socket.AF_UNIX) as service,
        socket.socket(socket.AF_UNIX) as file_service,
    ):
        path = str(Path(folder, "service"))
        for one, where in ((service, name), (file_service, path)):
            one.bind(where)
            one.listen()
        for place in (folder, path):
            os.chmod(place, 0o777)
        body = f"""
    found = []
    for family, kind, where in ((2, 1, {local.getsockname()!r}), (2, 1, ("192.0.2.1", 80)),
                                (2, 2, ("192.0.2.1", 53)), (10, 2, ("2001:db8::1", 53)), (1, 1, {name!r}),
                                (1, 1, {path!r})):
        try:
            with socket.socket(family, kind) as one:
                one.settimeout(1)
                one.connect(where)
            found.append(str(where))
        except OSError:
            pass
    return found
"""
        return holds_if_empty(run_inside(session, body), "reachable")


def foreign_file(session: WorkerSession) -> ProbeResult:
    """Test that student code can neither read nor change a file that every user of this machine may read and write."""
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        canary = Path(folder, "canary")
        canary.write_text("secret")
        canary.chmod(0o666)
        Path(folder).chmod(0o777)
        body = f"""
    found = []
    for path, mode in (({str(canary)!r}, "r"), ({str(canary)!r}, "a"), ({__file__!r}, "r"), ("/etc/passwd", "r"),
                       (torch.__file__, "a")):
        try:
            open(path, mode).close()
            found.append(mode + " " + path)
        except OSError:
            pass
    try:
        os.truncate({str(canary)!r}, 0)
        found.append("truncate")
    except OSError:
        pass
    return found
"""
        return holds_if_empty(run_inside(session, body), "opened")


def environment(session: WorkerSession) -> ProbeResult:
    """Test that no process environment that student code can read holds a variable of the grader."""
    body = """
    found = {f"{name}={value}" for name, value in os.environ.items()}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                found |= set(file.read().decode("utf-8", "replace").split("\\0"))
        except OSError:
            pass
    return sorted(found)
"""
    reply = run_inside(session, body)
    if not reply.ok:
        return incomplete(reply)
    secret = {f"{name}={value}" for name, value in os.environ.items() if value and name not in _given()}
    leaked = sorted(pair.partition("=")[0] for pair in secret & set(reply.data["value"]))
    return ProbeResult("FAILS", f"read: {', '.join(leaked[:5])}") if leaked else ProbeResult("holds")


def tracing(session: WorkerSession) -> ProbeResult:
    """Test that student code can neither attach to its parent process nor read that process's memory."""
    body = """
    libc, parent, found = ctypes.CDLL(None), os.getppid(), []
    space = ctypes.create_string_buffer(64)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(space), 8)
    if libc.ptrace(0x4206, parent, 0, 0) == 0:  # PTRACE_SEIZE: attaches without stopping it
        found.append("ptrace")
    if libc.process_vm_readv(parent, vector, 1, vector, 1, 0) > 0:
        found.append("process_vm_readv")
    try:
        open(f"/proc/{parent}/mem", "rb").close()
        found.append("/proc/PID/mem")
    except OSError:
        pass
    return found
"""
    return holds_if_empty(run_inside(session, body), "worked")


def daemon(session: WorkerSession) -> ProbeResult:
    """Test that a process that left its session does not outlive the call."""
    with unique_process_name() as name:
        body = f"""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", [{name!r}, "600"])
        os._exit(0)
    time.sleep(0.3)
    return []
"""
        reply = run_inside(session, body)
        left = processes_named(name, patience=2.0)
        return ProbeResult("FAILS", "a daemon survived its call") if left else holds_if_empty(reply, "")


def _given() -> set[str]:
    """Return the names of the variables that the sandbox gives a worker on purpose."""
    return set(worker_environment(library="", scratch="", device="cuda"))
