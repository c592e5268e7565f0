"""The parts of this machine that a worker may see: the system, the Python environment, `rlhf_kit` and `inside`.

Nothing else of the project is among them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LIBRARY = "/opt/lab"  # where `inside` and `rlhf_kit` are mounted
SCRATCH = "/box"
SCRATCH_BYTES = 256 << 20  # of each folder that student code may write to
STACK = ("torch", "transformers", "numpy", "safetensors")
PROJECT_PACKAGES = ("autograder", "assignment", "solutions", "tests")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")


class SandboxError(RuntimeError):
    """No sandbox is available, or it does not start. This is a grader error, never the submission's."""


@dataclass(frozen=True)
class PythonHome:
    """Where the running Python environment lies on this machine.

    roots: its folders outside /usr, which a worker may read. masked: folders inside the roots or /usr that hold the
    grader. sites: folders of the libraries. kit, inside: folders of the worker's two packages.
    """

    executable: str
    roots: tuple[Path, ...]
    masked: tuple[Path, ...]
    sites: tuple[Path, ...]
    kit: Path
    inside: Path


def python_home() -> PythonHome:
    """Find the parts of the running interpreter. Raises SandboxError if `rlhf_kit` or a library is not importable."""
    kit = _package_folder("rlhf_kit")
    if kit is None:
        raise SandboxError("rlhf_kit cannot be imported: run from the project's environment (make setup)")
    sites: list[Path] = []
    for name in STACK:
        folder = _package_folder(name)
        if folder is None:
            raise SandboxError(f"{name} is not installed in {sys.prefix}: run make setup")
        sites.append(folder.parent)
    roots = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), *sites]
    roots += [hop.parent.parent for hop in _links(Path(sys.executable)) if hop.parent.name == "bin"]
    roots += [root.resolve() for root in roots]
    kept = _outermost(roots)
    masked = _project_folders(kept)
    hidden = _outermost(root for root in roots if under(root, masked))  # e.g. a .venv in a masked checkout
    inside = Path(__file__).parents[1] / "inside"
    return PythonHome(sys.executable, (*kept, *hidden), masked, tuple(dict.fromkeys(sites)), kit, inside)


def search_path(library: str | Path, home: PythonHome) -> str:
    """Build a worker's PYTHONPATH: the folder of its two packages, then the libraries wherever they are installed."""
    return os.pathsep.join([str(library), *map(str, home.sites)])


def worker_environment(*, library: str, scratch: str, device: str) -> dict[str, str]:
    """Build the whole environment of a worker, which inherits only where CUDA finds its driver.

    library: its PYTHONPATH. scratch: its home folder.
    """
    values = {
        "PATH": "/usr/bin:/bin", "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "USER": "student",
        "LOGNAME": "student", "PYTHONPATH": library, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "Agg",
        "GOMP_SPINCOUNT": "20000",  # as fast on an idle machine, and a third faster on a shared one
        "MPLCONFIGDIR": scratch,
        "HF_HOME": f"{scratch}/hf", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error",
    }  # fmt: skip
    if device == "cuda":
        values |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "CUDA_CACHE_PATH": f"{scratch}/cuda"}
        values["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking for a GPU must not start CUDA before the fork
        for name in ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"):
            if name in os.environ:
                values[name] = os.environ[name]
    return values


def cuda_devices() -> list[str]:
    """List the device nodes of the NVIDIA driver on this machine."""
    return sorted(str(path) for path in Path("/dev").glob("nvidia*"))


def system_paths() -> list[Path]:
    """List the folders and files of the operating system that a worker may read."""
    return [Path(path) for path in (*SYSTEM, *SYSTEM_FILES) if os.path.exists(path)]


def under(path: Path, folders: Iterable[Path]) -> bool:
    """Say whether the path is one of these folders or lies inside one."""
    return any(path == folder or folder in path.parents for folder in folders)


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _links(path: Path) -> list[Path]:
    """Follow the links from an interpreter's name to its file (environments of pyenv and uv have several)."""
    chain = [path]
    while chain[-1].is_symlink() and len(chain) < 16:
        chain.append(chain[-1].parent / os.readlink(chain[-1]))
    return [Path(os.path.normpath(hop)) for hop in chain]


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return each existing folder once, without those inside /usr or inside another."""
    unique = sorted({Path(os.path.normpath(path)) for path in paths}, key=lambda path: len(path.parts))
    kept: list[Path] = []
    for path in unique:
        if path.is_dir() and path != Path("/") and not under(path, [Path("/usr"), *kept]):
            kept.append(path)
    return tuple(kept)


def _project_folders(roots: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the project's folders that lie inside what is mounted, so that a worker does not find the grader there."""
    home = Path(__file__).parents[2]
    if (home / "pyproject.toml").exists() and under(home, [Path("/usr"), *roots]):
        return (home,)
    found = (home / name for name in PROJECT_PACKAGES)
    return tuple(path for path in found if path.is_dir() and under(path, [Path("/usr"), *roots]))
