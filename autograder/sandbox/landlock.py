"""Tier 3, for machines without namespaces: Landlock for files and signals, seccomp for the network, rlimits.

The process list stays visible, memory is limited per process (and by a cgroup where the machine offers one), and the
scratch folder lies on this machine's disk. The tier needs a separate uid for student code or Landlock ABI 6 (signal
scoping, Linux 6.12).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.inside.restrict import landlock_abi
from autograder.inside.system import remove_folder

from .environment import PythonHome, SandboxError, cuda_devices, search_path, system_paths, under, worker_environment
from .seccomp import build_filter

if TYPE_CHECKING:
    from .process import WorkerProgram

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
SIGNAL_SCOPE_ABI = 6
NEEDS = "seccomp and Landlock: Linux 6.12 or later, or 5.13 where the grader is root and may drop to a user"


@dataclass(frozen=True)
class WorkerFolder:
    """A folder with a random name that holds copies of the worker's packages (`library`) and its scratch folder."""

    root: Path
    library: Path
    scratch: Path

    def remove(self) -> None:
        """Delete the folder with everything that student code left in it."""
        remove_folder(str(self.root))


def missing_support(home: PythonHome, memory_group: bool) -> str:
    """Return "" if tier 3 can be used here, else the reason why not."""
    abi = landlock_abi()
    if abi == 0:
        return f"the kernel has no Landlock (tier 3 needs {NEEDS}, with CONFIG_SECURITY_LANDLOCK)"
    if abi < SIGNAL_SCOPE_ABI and not can_drop(home):
        return "Landlock cannot confine signals before Linux 6.12 (or run as root with a readable Python)"
    if os.getuid() == 0 and not memory_group and not can_drop(home):
        return "root without a cgroup: the number of processes would not be bounded"
    return ""


def can_drop(home: PythonHome) -> bool:
    """Say whether the grader is root and another uid may reach the Python environment."""
    folders = {parent for root in (*home.roots, Path(home.executable)) for parent in root.parents}
    return os.getuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in folders)


def create_folder(home: PythonHome, uid: int | None) -> WorkerFolder:
    """Create a worker's folder. Its scratch folder belongs to `uid` unless that is None."""
    root = Path(tempfile.mkdtemp(prefix="rlhf-lab-"))
    folder = WorkerFolder(root, root / "lib", root / "box")
    root.chmod(0o755)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(home.inside, folder.library / "inside", ignore=ignore)
    shutil.copytree(home.kit, folder.library / "rlhf_kit", ignore=ignore)
    folder.scratch.mkdir(mode=0o700)
    if uid is not None:
        os.chown(folder.scratch, uid, uid)
    return folder


def configuration(
    home: PythonHome,
    folder: WorkerFolder,
    worker: WorkerProgram,
    *,
    device: str,
    uid: int | None,
    confined: bool = True,
) -> bytes:
    """Build the line of JSON that `inside.restrict` reads from stdin. confined: False for tier 0."""
    read, listed = _readable(home) if confined else ([], [])
    read += [str(path) for path in system_paths()] + [str(folder.library), "/proc"]
    write = [str(folder.scratch), "/dev/null"]
    if device == "cuda":
        read.append("/sys")
        write += cuda_devices()
    config = {
        "confined": confined,
        "uid": uid,
        "folder": str(folder.root),
        "cwd": str(folder.scratch),
        "command": worker.command,
        "fds": worker.fds,
        "read": [*read, *DEVICES],
        "listed": listed,
        "write": write,
        "filter": base64.b64encode(build_filter(exposed=True)).decode() if confined else "",
        "env": worker_environment(
            library=search_path(folder.library, home), scratch=str(folder.scratch), device=device
        ),
    }
    return json.dumps(config).encode() + b"\n"


def _readable(home: PythonHome) -> tuple[list[str], list[str]]:
    """Return the folders of the Python environment that may be read, and those of which only names may be listed.

    Landlock has no exceptions, so a folder that holds the grader is opened child by child. Raises SandboxError if the
    grader lies under /usr.
    """
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
