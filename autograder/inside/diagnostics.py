"""Operations that examine the sandbox itself, for choosing a tier, for `rlhf-lab doctor` and for the tests."""

from __future__ import annotations

import importlib.util
import os
import socket
from typing import TYPE_CHECKING, Any

from .operations import Report, Result, op

if TYPE_CHECKING:
    import torch

    from .namespace import Namespace

STACK = ("torch", "transformers", "numpy", "safetensors", "rlhf_kit")


@op("_echo")
def echo(_ns: Namespace, payload: dict[str, Any], tensors: dict[str, torch.Tensor], _report: Report) -> Result:
    """Return payload["value"] and the tensors."""
    return {"value": payload.get("value")}, tensors


@op("_call")
def call(ns: Namespace, payload: dict[str, Any], tensors: dict[str, torch.Tensor], _report: Report) -> Result:
    """Call payload["name"](**tensors). A dict of tensors becomes the reply's tensors, anything else its value."""
    value = ns.get(payload["name"])(**tensors)
    if isinstance(value, dict) and value and all(hasattr(item, "detach") for item in value.values()):
        return {}, value
    return {"value": value}, {}


@op("_gpu")
def compute_on_gpu(
    _ns: Namespace, _payload: dict[str, Any], _tensors: dict[str, torch.Tensor], _report: Report
) -> Result:
    """Compute a matrix product on the GPU. Raises CUDA's error if there is no GPU or it has stopped responding."""
    import torch

    side = 64
    x = torch.ones(side, side, device="cuda")
    if (x @ x).sum().item() != side**3:
        raise RuntimeError("the GPU gives wrong numbers")
    return {}, {}


@op("_report")
def progress(_ns: Namespace, payload: dict[str, Any], _tensors: dict[str, torch.Tensor], report: Report) -> Result:
    """Send payload["count"] progress records."""
    for step in range(payload["count"]):
        report({"step": step, "loss": float("nan")})
    return {"count": payload["count"]}, {}


def surroundings(request: dict[str, Any]) -> dict[str, Any]:
    """Report what a process in the sandbox can see and do.

    request: {"hidden": paths that must not be readable, "optimiser": whether to import torch and step an optimiser
    first, which a benchmark uses as its baseline}.
    """
    if request.get("optimiser"):
        from .preload import warm_up

        warm_up()
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "environment": sorted(os.environ),
        "network": _reachable(),
        "readable": [path for path in request.get("hidden", []) if _readable(path)],
        "missing": [name for name in STACK if not _importable(name)],
        "writable": [path for path in ("/", "/usr", "/etc", "/dev", "/opt") if _writable(path)],
    }


def _reachable() -> bool:
    """Say whether this process can open a socket to the outside."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
            outward.connect(("192.0.2.1", 53))  # TEST-NET-1 (RFC 5737); nothing is sent
        return True
    except OSError:
        return False


def _readable(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def _writable(folder: str) -> bool:
    try:
        path = os.path.join(folder, ".write-test")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(path)
        return True
    except OSError:
        return False


def _importable(name: str) -> bool:
    """Say whether the package exists and can be read, without importing it."""
    spec = importlib.util.find_spec(name)
    folders = spec.submodule_search_locations if spec else None
    return bool(folders) and any(_readable(folder) for folder in folders or ())
