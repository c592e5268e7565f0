"""Probes of what student code can reach: network, files, environment, other processes, later calls."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from pathlib import Path

from autograder.sandbox import WorkerSession
from autograder.sandbox.environment import worker_environment

from .probe import Verdict, answer, broken, nothing, running, token_name


def network(session: WorkerSession) -> Verdict:
    """Can it reach a server on this machine, the world, or a local service's socket?"""
    name = "\0canary-" + secrets.token_hex(8)
    with (
        tempfile.TemporaryDirectory(prefix="canary-") as folder,
        socket.create_server(("127.0.0.1", 0)) as local,
        socket.socket(socket.AF_UNIX) as service,
        socket.socket(socket.AF_UNIX) as door,
    ):
        path = str(Path(folder, "door"))
        for one, where in ((service, name), (door, path)):
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
        return nothing(answer(session, body), "reachable")


def foreign_file(session: WorkerSession) -> Verdict:
    """Can it read or change a file that everybody on this machine may read and write?"""
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
        return nothing(answer(session, body), "opened")


def environment(session: WorkerSession) -> Verdict:
    """Does any environment that it can read hold a variable of the grader's?"""
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
    reply = answer(session, body)
    if not reply.ok:
        return broken(reply)
    own = {f"{name}={value}" for name, value in os.environ.items() if value and name not in _given()}
    leaked = sorted(pair.partition("=")[0] for pair in own & set(reply.data["value"]))
    return Verdict("FAILS", f"read: {', '.join(leaked[:5])}") if leaked else Verdict("holds")


def tracing(session: WorkerSession) -> Verdict:
    """Can it attach to, or read the memory of, the process above it?"""
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
    return nothing(answer(session, body), "worked")


def daemon(session: WorkerSession) -> Verdict:
    """Does a process that left its session outlive the call?"""
    with token_name() as token:
        body = f"""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", [{token!r}, "600"])
        os._exit(0)
    time.sleep(0.3)
    return []
"""
        reply = answer(session, body)
        left = running(token, patience=2.0)
        return Verdict("FAILS", "a daemon survived its call") if left else nothing(reply, "")


def _given() -> set[str]:
    return set(worker_environment(library="", scratch="", device="cuda"))
