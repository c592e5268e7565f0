"""Linux calls of the worker: process attributes, limits, ending every process, emptying scratch."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Iterable

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_SCOPE_SIGNAL = 1 << 1
THREAD_ADDRESS_SPACE = 144 << 20  # per thread: a 64 MiB malloc arena may be reserved twice, plus a stack
END_SECONDS = 10.0
PAGE = 4096  # bytes
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc refuses more
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def keep_freed_memory() -> None:
    """Have malloc keep what is freed for the next allocation, on glibc; elsewhere nothing changes.

    Each pass through a model takes and frees the same megabytes. By default they go back to the kernel and come
    again page by page, zeroed, which costs a quarter of a forward pass and more where page faults are dear.
    """
    with contextlib.suppress(AttributeError):  # another C library
        _libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        _libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def scope_signals() -> bool:
    """Landlock: from now on this process can signal only its own descendants. False if not offered."""
    attributes = (ctypes.c_uint64 * 3)(0, 0, LANDLOCK_SCOPE_SIGNAL)
    ruleset = _libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(24), 0)
    if ruleset < 0:
        return False
    try:
        return _libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def status_bytes(field: str) -> int:
    """A kB field of /proc/self/status (`VmSize`, `VmRSS`) in bytes."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def limit_child(header: dict) -> None:
    """rlimits of one call. Address space counts from what the imported libraries already use."""
    if header.get("address_space", True):
        room = header["memory_bytes"] + header["threads"] * THREAD_ADDRESS_SPACE
        _lower(resource.RLIMIT_AS, status_bytes("VmSize") + room)
    if header.get("cpu_s"):
        seconds = max(1, round(header["cpu_s"]))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))
    _lower(resource.RLIMIT_CORE, 0)


def limit_worker(file_bytes: int, processes: int | None) -> None:
    """rlimits that hold for the worker and everything below it."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_NOFILE, 512)
    if processes is not None:
        _lower(resource.RLIMIT_NPROC, processes)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def descendants() -> list[int]:
    """Process ids below this process, by the parent field of /proc/*/stat."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parents[int(entry)] = int(file.read().rpartition(b")")[2].split()[1])
    found = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found - {os.getpid()})
        found |= more


def cannot_signal(pid: int) -> bool:
    """Is a signal to this living process refused?"""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    return False


def end_everything(*, confined: bool, seconds: float = END_SECONDS) -> None:
    """Kill and reap every other process of the sandbox. Raises TimeoutError if some will not go.

    confined: signals reach the sandbox alone (pid 1 of a namespace, or a Landlock domain), so kill(-1) ends
    all at once, which no fork bomb outruns. Otherwise this process is a subreaper and its descendants are
    killed until none is left.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for pid in [-1] if confined else descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if _reap() and (confined or not descendants()):
            return
        time.sleep(0.002)
    raise TimeoutError("a process of the call does not end")


def _reap() -> bool:
    """Collect what has ended; True if no child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def empty(folders: Iterable[str]) -> bool:
    """Remove what a call left in its scratch folders; False if something stays."""
    left = [folder for folder in folders if not _clear(folder)]
    return not left


def remove(folder: str) -> None:
    """Delete a folder with all that is in it, as far as that can be done."""
    with contextlib.suppress(OSError):
        _clear(folder)
        os.rmdir(folder)


def _clear(top: str) -> bool:
    """Empty a folder, however deep it is, without following a link; False if something stays.

    No recursion and no long path, which student code could exhaust: what lies in a subfolder is lifted into
    `top` until there is no subfolder left. Every step goes by descriptor, so that a process that is still alive
    cannot put a link in the way of a grader that is root.
    """
    base = os.open(top, FOLDER)
    try:
        progress = True
        while progress:
            progress = False
            for name in os.listdir(base):
                with contextlib.suppress(OSError):
                    progress = _lift(base, name) or progress
        return not os.listdir(base)
    finally:
        os.close(base)


def _lift(base: int, name: str) -> bool:
    """Delete an entry of the folder `base`; a folder's content is lifted into `base` first. OSError if it stays."""
    if _unlinked(base, name):
        return True
    _open_up(base, name)
    inner = os.open(name, FOLDER, dir_fd=base)
    try:
        for child in os.listdir(inner):
            with contextlib.suppress(OSError):
                if not _unlinked(inner, child):
                    _open_up(inner, child)
                    os.rename(child, os.urandom(8).hex(), src_dir_fd=inner, dst_dir_fd=base)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=base)
    return True


def _unlinked(folder: int, name: str) -> bool:
    """Delete a file or a link; False if it is a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True


def _open_up(folder: int, name: str) -> None:
    """Give us all rights to a subfolder, where that is allowed. Never follows a link."""
    with contextlib.suppress(OSError):
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # fchmod refuses an O_PATH descriptor
        finally:
            os.close(handle)


def held_bytes(folders: Iterable[str], enough: int) -> int:
    """Bytes on disk below these folders; counting ends once there are more than `enough`.

    A file counts for one page at least, so that empty ones add up too; a folder that cannot be looked into
    (no right to read, a path too long) counts as too much, or it would be the place to hide.
    """
    total, pending = 0, list(folders)
    while pending and total <= enough:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    total += max(PAGE, entry.stat(follow_symlinks=False).st_blocks * 512)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    if total > enough:
                        break
        except FileNotFoundError:
            continue  # it went away meanwhile
        except OSError:
            return enough + 1
    return total
