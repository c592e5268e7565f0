"""Tiers 1 and 2 use bubblewrap. As root the worker gets an unprivileged uid, otherwise a user namespace.

bubblewrap mounts the system and the Python environment read-only, hides the rest, cuts the network and drops every
capability. It reads its options from a file descriptor and starts with an empty environment, because /proc/1 inside
would show both. The read-only remounts come last, or / and /dev would stay writable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from .environment import (
    LIBRARY,
    SCRATCH,
    SCRATCH_BYTES,
    PythonHome,
    cuda_devices,
    search_path,
    system_paths,
    under,
    worker_environment,
)

# What setpriv needs to give up root (see drop_prefix); it drops these as well.
ROOT_CAPABILITIES = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
                     "--cap-add", "CAP_SETPCAP")  # fmt: skip


@cache
def bwrap_path() -> str | None:
    """Return the path of bubblewrap, or None if it is not installed."""
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")


@cache
def _supports(option: str) -> bool:
    text = subprocess.run([str(bwrap_path()), "--help"], capture_output=True, text=True, env={}, check=False)
    return option in text.stdout + text.stderr


def options(home: PythonHome, *, device: str, uid: int | None, seccomp_fd: int, info_fd: int, block_fd: int) -> bytes:
    """Build bwrap's options, NUL-separated for `--args`.

    uid: the uid that root drops to, or None for a user namespace. The descriptors are those that bwrap inherits.
    """
    items = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if uid is None:
        items += ["--unshare-user", *(["--disable-userns"] if _supports("--disable-userns") else [])]
    items += ["--hostname", "worker", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    library = search_path(LIBRARY, home)
    for name, value in worker_environment(library=library, scratch=SCRATCH, device=device).items():
        items += ["--setenv", name, value]
    items += _mounts(home, device)
    items += ["--seccomp", str(seccomp_fd), "--info-fd", str(info_fd), "--block-fd", str(block_fd)]
    items += ["--cap-drop", "ALL"] if uid is None else [*ROOT_CAPABILITIES]
    return b"\0".join(os.fsencode(item) for item in items) + b"\0"


def drop_prefix(uid: int | None) -> list[str]:
    """Build the command that runs inside and gives up root for good before it starts the worker."""
    if uid is None:
        return []
    return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all",
            "--inh-caps=-all", "--no-new-privs", "--"]  # fmt: skip


def _mounts(home: PythonHome, device: str) -> list[str]:
    items: list[str] = []
    made: set[Path] = set()
    for path in system_paths():
        items += _parents(path, made)
        items += ["--symlink", os.readlink(path), str(path)] if _is_usr_link(path) else _bind(path, path)
    for root in home.roots:
        items += [*_parents(root, made), *_bind(root, root)]
    for path in home.masked:
        items += ["--tmpfs", str(path)]
        for root in home.roots:
            if under(root, [path]):  # an environment inside the project's folder
                items += _bind(root, root)
        items += ["--remount-ro", str(path)]
    for source, name in ((home.inside, "inside"), (home.kit, "rlhf_kit")):
        target = Path(LIBRARY) / name
        items += [*_parents(target, made), *_bind(source, target)]
    items += ["--proc", "/proc", "--dev", "/dev"]
    if device == "cuda":
        for node in cuda_devices():
            items += ["--dev-bind-try", node, node]
        items += ["--ro-bind-try", "/sys", "/sys"]
    for folder in ("/dev/shm", SCRATCH):
        items += ["--perms", "1777", "--size", str(SCRATCH_BYTES), "--tmpfs", folder]
    return [*items, "--chdir", SCRATCH, "--remount-ro", "/dev", "--remount-ro", "/"]


def _bind(source: Path, target: Path) -> list[str]:
    return ["--ro-bind", str(source), str(target)]


def _parents(path: Path, made: set[Path]) -> list[str]:
    """Create the folders above a mount point, readable by the dropped uid (bwrap would make them private)."""
    items: list[str] = []
    for parent in reversed(path.parents):
        if parent != Path("/") and parent not in made:
            made.add(parent)
            items += ["--perms", "0755", "--dir", str(parent)]
    made.add(path)
    return items


def _is_usr_link(path: Path) -> bool:
    return path.is_symlink() and len(path.parts) == 2
