"""Tier 3: where no namespace can be had. Landlock for files and signals, seccomp for the network, rlimits.

The process list stays visible, memory is limited per process (and by a cgroup where one can be had), and
scratch is a folder on this machine. Student code needs a uid of its own or Landlock 6 (signal scoping, Linux
6.12): else refused.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autograder.inside.restrict import landlock_abi
from autograder.inside.system import remove

from .environment import PythonHome, SandboxError, cuda_devices, search_path, system_paths, under, worker_environment
from .seccomp import build_filter

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
SIGNAL_SCOPE_ABI = 6
NEEDS = "seccomp and Landlock: Linux 6.12 or later, or 5.13 where the grader is root and may drop to a user"


@dataclass(frozen=True)
class Stage:
    """Copies of the worker's packages and its scratch folder, in a folder with a random name."""

    folder: Path
    library: Path
    scratch: Path

    def remove(self) -> None:
        """Delete the folder with all that the student left in it."""
        remove(str(self.folder))


def usable(home: PythonHome, memory_group: bool) -> str:
    """Why tier 3 cannot be used here, or ""."""
    abi = landlock_abi()
    if abi == 0:
        return f"the kernel has no Landlock (tier 3 needs {NEEDS}, with CONFIG_SECURITY_LANDLOCK)"
    if abi < SIGNAL_SCOPE_ABI and not can_drop(home):
        return "Landlock cannot confine signals before Linux 6.12 (or run as root with a readable Python)"
    if os.getuid() == 0 and not memory_group and not can_drop(home):
        return "root without a cgroup: the number of processes would not be bounded"
    return ""


def can_drop(home: PythonHome) -> bool:
    """Are we root, and may another uid reach the Python environment?"""
    folders = {parent for root in (*home.roots, Path(home.executable)) for parent in root.parents}
    return os.getuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in folders)


def prepare(home: PythonHome, uid: int | None) -> Stage:
    """Make the stage; its scratch belongs to `uid` if that is set."""
    folder = Path(tempfile.mkdtemp(prefix="rlhf-lab-"))
    stage = Stage(folder, folder / "lib", folder / "box")
    folder.chmod(0o755)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(home.inside, stage.library / "inside", ignore=ignore)
    shutil.copytree(home.kit, stage.library / "rlhf_kit", ignore=ignore)
    stage.scratch.mkdir(mode=0o700)
    if uid is not None:
        os.chown(stage.scratch, uid, uid)
    return stage


def configuration(
    home: PythonHome,
    stage: Stage,
    *,
    device: str,
    uid: int | None,
    command: list[str],
    fds: list[int],
    confined: bool = True,
) -> bytes:
    """What `inside.restrict` reads from stdin: one line of JSON. confined: False for tier 0."""
    read, listed = _readable(home) if confined else ([], [])
    read += [str(path) for path in system_paths()] + [str(stage.library), "/proc"]
    write = [str(stage.scratch), "/dev/null"]
    if device == "cuda":
        read.append("/sys")
        write += cuda_devices()
    config = {
        "confined": confined,
        "uid": uid,
        "stage": str(stage.folder),
        "cwd": str(stage.scratch),
        "command": command,
        "fds": fds,
        "read": [*read, *DEVICES],
        "listed": listed,
        "write": write,
        "filter": base64.b64encode(build_filter(exposed=True)).decode() if confined else "",
        "env": worker_environment(library=search_path(stage.library, home), scratch=str(stage.scratch), device=device),
    }
    return json.dumps(config).encode() + b"\n"


def _readable(home: PythonHome) -> tuple[list[str], list[str]]:
    """(readable, only listable) folders of the Python environment. Landlock has no exceptions: a folder that
    holds the grader is opened child by child."""
    read: list[str] = []
    listed: list[str] = []
    pending = list(home.roots)
    while pending:
        folder = pending.pop()
        if any(under(mask, [folder]) for mask in home.masked):
            listed.append(str(folder))
            pending += [path for path in folder.iterdir() if path not in home.masked]
        else:
            read.append(str(folder))
    if any(under(mask, [Path("/usr")]) for mask in home.masked):
        raise SandboxError("the grader lies under /usr, which tier 3 cannot hide: use a virtual environment")
    return read, listed
