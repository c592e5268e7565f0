"""Linux system calls of the worker: process attributes, limits, killing processes, emptying scratch folders."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_SCOPE_SIGNAL = 1 << 1
THREAD_ADDRESS_SPACE = 144 << 20  # per thread: malloc may reserve a 64 MiB arena twice, and there is the stack
END_SECONDS = 10.0
PAGE = 4096  # bytes
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc refuses more
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Call prctl(2). Raises OSError."""
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def keep_freed_memory() -> None:
    """Let malloc keep freed memory for the next allocation. This works with glibc only.

    Each pass through a model allocates and frees the same megabytes. By default they return to the kernel and come back
    page by page, zeroed, which costs a quarter of a forward pass, or more where page faults are expensive.
    """
    with contextlib.suppress(AttributeError):  # another C library has no mallopt
        _libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        _libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def scope_signals() -> bool:
    """Let this process signal only its own descendants, by Landlock. Return False if the kernel does not offer it."""
    attributes = (ctypes.c_uint64 * 3)(0, 0, LANDLOCK_SCOPE_SIGNAL)
    ruleset = _libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(24), 0)
    if ruleset < 0:
        return False
    try:
        return bool(_libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def status_bytes(field: str) -> int:
    """Return a kB field of /proc/self/status (`VmSize`, `VmRSS`) in bytes, or 0 if there is no such field."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def limit_child(header: dict[str, Any]) -> None:
    """Set the rlimits of one call. Address space is counted from what the imported libraries already use."""
    if header.get("address_space", True):
        room = header["memory_bytes"] + header["threads"] * THREAD_ADDRESS_SPACE
        _lower(resource.RLIMIT_AS, status_bytes("VmSize") + room)
    if header.get("cpu_s"):
        seconds = max(1, round(header["cpu_s"]))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))
    _lower(resource.RLIMIT_CORE, 0)


def limit_worker(file_bytes: int, processes: int | None) -> None:
    """Set the rlimits that hold for the worker and all its descendants."""
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
    """List the ids of all processes below this one, by the parent field of /proc/*/stat."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{entry}/stat", "rb") as file:
                parents[int(entry)] = int(file.read().rpartition(b")")[2].split()[1])
    found = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found - {os.getpid()})
        found |= more


def cannot_signal(pid: int) -> bool:
    """Say whether the kernel refuses a signal to this living process."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    return False


def kill_all(*, signals_confined: bool, seconds: float = END_SECONDS) -> None:
    """Kill and reap every other process of the sandbox. Raises TimeoutError if some do not end in time.

    signals_confined: signals reach only the sandbox (this is pid 1 of a namespace, or in a Landlock domain), so
    kill(-1) ends all processes at once, faster than any fork bomb. Otherwise this process is a subreaper, and its
    descendants are killed until none is left.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for pid in [-1] if signals_confined else descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if _reap() and (signals_confined or not descendants()):
            return
        time.sleep(0.002)
    raise TimeoutError("a process of the call does not end")


def _reap() -> bool:
    """Reap the children that have ended. Return True if no child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def empty_folders(folders: Iterable[str]) -> bool:
    """Delete what a call left in its scratch folders. Return False if something remains."""
    left = [folder for folder in folders if not _empty_folder(folder)]
    return not left


def remove_folder(folder: str) -> None:
    """Delete a folder and its content, as far as the system permits."""
    with contextlib.suppress(OSError):
        _empty_folder(folder)
        os.rmdir(folder)


def _empty_folder(top: str) -> bool:
    """Empty a folder of any depth without following links. Return False if something remains.

    Student code could exhaust recursion and long paths, so neither is used: the content of a subfolder is moved up into
    `top` until there is no subfolder left. Every step uses descriptors, so that a process that is still alive cannot
    place a link where a grader that is root would follow it.
    """
    base = os.open(top, FOLDER)
    try:
        progress = True
        while progress:
            progress = False
            for name in os.listdir(base):
                with contextlib.suppress(OSError):
                    progress = _delete_entry(base, name) or progress
        return not os.listdir(base)
    finally:
        os.close(base)


def _delete_entry(base: int, name: str) -> bool:
    """Delete an entry of the folder `base`, after moving a subfolder's content into `base`. Raises OSError."""
    if _unlink_file(base, name):
        return True
    _grant_access(base, name)
    inner = os.open(name, FOLDER, dir_fd=base)
    try:
        for child in os.listdir(inner):
            with contextlib.suppress(OSError):
                if not _unlink_file(inner, child):
                    _grant_access(inner, child)
                    os.rename(child, os.urandom(8).hex(), src_dir_fd=inner, dst_dir_fd=base)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=base)
    return True


def _unlink_file(folder: int, name: str) -> bool:
    """Delete a file or a link. Return False if it is a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True


def _grant_access(folder: int, name: str) -> None:
    """Give this process all rights to a subfolder, if that is allowed, without following a link."""
    with contextlib.suppress(OSError):
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # fchmod refuses an O_PATH descriptor
        finally:
            os.close(handle)


def disk_usage(folders: Iterable[str], enough: int) -> int:
    """Count the bytes on disk below these folders. Counting stops once there are more than `enough`.

    A file counts as at least one page, so that empty files add up as well. A folder that cannot be listed (no
    permission, or a path that is too long) counts as more than `enough`, because files could be hidden in it.
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
            continue  # it was deleted meanwhile
        except OSError:
            return enough + 1
    return total
