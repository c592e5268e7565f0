"""Run one call in a forked process: set limits, build the namespace, run the operation, reply.

This is the only process in which student code runs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.torch
import torch

from . import system
from .namespace import Namespace, describe
from .operations import OPS
from .outcome import classify
from .wire import encode_tensors, frame, json_bytes, pack_body, split_body, write_all


def run_call(header: dict[str, Any], payload: bytes, answer_fd: int, output_fd: int) -> None:
    """Answer one request and end this process.

    answer_fd: receives the P and R frames (see wire). output_fd: receives everything that is printed.
    """
    try:
        _prepare(header, output_fd)
        kind, data, error, tail = _run_operation(payload, answer_fd)
        try:
            body = pack_body({"kind": kind, "data": data, "error": error}, tail)
        except (TypeError, ValueError, RecursionError) as problem:
            body = pack_body({"kind": "invalid", "data": {}, "error": f"not JSON: {describe(problem)}"})
        write_all(answer_fd, frame(b"R", body))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:  # noqa: BLE001 (this process must end here, whatever student code raises)
        os.write(2, f"the call ended with {describe(error)}\n".encode("utf-8", "replace"))
        os._exit(70)
    os._exit(0)


def _prepare(header: dict[str, Any], output_fd: int) -> None:
    """Prepare this process for student code: redirect output, set limits and seeds, cut access to the worker."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    for fd in (null, output_fd):
        if fd > 2:
            os.close(fd)
    sys.stdout = open(1, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115 (open until the end)
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    system.prctl(system.PR_SET_DUMPABLE, 1)
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # at the memory limit the kernel should kill this process, not the worker
    if header["scope_signals"]:
        system.scope_signals()
    torch.set_num_threads(header["threads"])
    seed = header["seed"] % (1 << 32)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    system.limit_child(header)


def _run_operation(payload: bytes, answer_fd: int) -> tuple[str, dict[str, Any], str, bytes]:
    """Return (kind, data, error, tensor bytes) of the reply. Whatever student code raises becomes a kind."""
    errors: list[dict[str, Any]] = []
    try:
        head, tail = split_body(payload)
        request = json.loads(head)
        tensors = _load_tensors(bytes(tail))
        namespace = Namespace(request.get("code") or {})
        errors = namespace.errors
        data, out = OPS[request["op"]](namespace, request, tensors, _reporter(answer_fd))
        data = {**data, "_prelude_errors": errors} if errors else dict(data)
        return "answered", data, "", encode_tensors({k: to_numpy(v) for k, v in out.items()})
    except BaseException as error:  # noqa: BLE001 (also SystemExit and KeyboardInterrupt of student code)
        kind, data, text = classify(error)
        if errors:
            data["_prelude_errors"] = errors
        return kind, data, text, b""


def _load_tensors(blob: bytes) -> dict[str, torch.Tensor]:
    """Decode the grader's tensors into fresh, writable, contiguous torch tensors."""
    return {name: tensor.clone() for name, tensor in safetensors.torch.load(blob).items()}


def to_numpy(value: Any) -> np.ndarray:
    """Convert an answer's tensor to be sent. Subclasses of Tensor lose their class, bfloat16 becomes float32."""
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    tensor = value.detach().as_subclass(torch.Tensor).to("cpu")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().contiguous().numpy()


def _reporter(answer_fd: int) -> Callable[[Mapping[str, Any]], None]:
    def report(record: Mapping[str, Any]) -> None:
        write_all(answer_fd, frame(b"P", json_bytes(_finite(record))))

    return report


def _finite(value: Any) -> Any:
    """Copy a record with null for NaN and Inf, so that a diverging run still reports its steps."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
