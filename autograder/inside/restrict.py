"""The supervisor of tiers 3 and 0 starts a worker, in tier 3 restricted, and kills all its processes in the end.

The restrictions are those of Landlock and seccomp. The grader runs the supervisor as `python -m inside.restrict`. The
first line of stdin is the configuration (JSON); the supervisor stops when stdin is closed. Supervisor and grader are
outside the Landlock domain, so that student code can neither signal nor read them. See landlock(7); the access rights
are those of <linux/landlock.h>.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import select
import struct
import sys
from typing import Any

from . import system

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH, CREATE_RULESET_VERSION = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
READ = EXECUTE | READ_FILE | READ_DIR
ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}  # by ABI; 3 and later the same here
TCP_BIND_CONNECT, SCOPE_SOCKETS_AND_SIGNALS = 0b11, 0b11
PR_CAPBSET_DROP, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 24, 22, 2
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
MAX_CAPABILITY = 63
WORKER_SECONDS = 3.0

_libc = ctypes.CDLL(None, use_errno=True)


def landlock_abi() -> int:
    """Return the ABI version of the kernel's Landlock, 0 if there is none."""
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION)))


def confine(read: list[str], listed: list[str], write: list[str]) -> None:
    """Restrict this process to these paths, without TCP and without abstract sockets or signals to the outside.

    read: files below may be read and executed. listed: only the names of entries may be read. write: all rights.
    Raises OSError.
    """
    abi = landlock_abi()
    rights = ALL_RIGHTS[min(abi, 3)]
    net, scope = TCP_BIND_CONNECT if abi >= 4 else 0, SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("=QQQ", rights, net, scope)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _check(_libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0), "landlock ruleset")
    for paths, allowed in ((read, READ), (listed, READ_DIR), (write, rights)):
        for path in paths:
            _allow(ruleset, path, allowed & rights)
    system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
    _check(_libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock restrict")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        allowed = rights if os.path.isdir(path) else rights & FILE_RIGHTS
        rule = struct.pack("=Qi", allowed, fd)
        _check(_libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0), f"landlock rule for {path}")
    finally:
        os.close(fd)


def drop_privileges(uid: int | None) -> None:
    """As root, become `uid`, or stay uid 0 without any capability if it is None. Do nothing as an ordinary user."""
    if os.getuid() != 0:
        return
    for capability in range(MAX_CAPABILITY + 1):
        with contextlib.suppress(OSError):
            system.prctl(PR_CAPBSET_DROP, capability)
    os.setgroups([])
    if uid is not None:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _check(_libc.capset(header, b"\0" * 24), "capset")


def install_filter(program: bytes) -> None:
    """Install a seccomp program (an array of struct sock_filter) for this process and its children."""
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    pointer = ctypes.create_string_buffer(fprog, len(fprog))
    _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointer, 0, 0), "seccomp")


def _check(value: int, what: str) -> int:
    if value < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return value


def start_worker(config: dict[str, Any]) -> int:
    """Fork and restrict the worker, and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(config["cwd"])
        if config["confined"]:
            drop_privileges(config["uid"])
            confine(config["read"], config["listed"], config["write"])
        system.prctl(system.PR_SET_PDEATHSIG, 9)
        if config["confined"]:
            install_filter(base64.b64decode(config["filter"]))
        os.execve(config["command"][0], config["command"], config["env"])
    except BaseException as error:  # noqa: BLE001 (a forked child must not return into the supervisor's code)
        os.write(2, f"the supervisor cannot start the worker: {error}\n".encode())
    os._exit(72)


def main() -> None:
    """Read the configuration, start the worker, and wait until it ends or stdin is closed."""
    config = json.loads(sys.stdin.buffer.readline())
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    system.prctl(system.PR_SET_DUMPABLE, 0)
    child = start_worker(config)
    for fd in config["fds"]:
        os.close(fd)
    pidfd = os.pidfd_open(child)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(0, select.POLLIN)
    poll.poll()
    poll.unregister(0)
    poll.poll(WORKER_SECONDS * 1000)  # its pipe is closed too: let it kill the processes of its domain first
    system.kill_all(signals_confined=False)
    system.remove_folder(config["folder"])  # here, as the grader may have died


if __name__ == "__main__":
    main()
