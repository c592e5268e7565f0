"""Base of the probes. A probe runs student code that attacks its sandbox, and then examines what the code did."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autograder.sandbox import Limits, Reply, WorkerSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20
LIMITS = Limits(wall_s=30, cpu_s=30, memory_bytes=256 * MIB, reply_bytes=4 * MIB, threads=1)
PRELUDE = "import ctypes, os, socket, sys, time\nimport torch\n"

State = Literal["holds", "soft", "FAILS", "none"]


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found: the sandbox holds, holds in part ("soft"), FAILS, or was not tested ("none").

    detail: says what did not hold.
    """

    state: State
    detail: str = ""


@dataclass(frozen=True)
class Probe:
    """One attack on a sandbox. device: the device of the session that it needs."""

    name: str
    run: Callable[[WorkerSession], ProbeResult]
    device: str = "cpu"


def run_inside(session: WorkerSession, body: str, **limits: Any) -> Reply:
    """Run student code in the sandbox and return the reply. body: a function's body, indented by four spaces."""
    code = {"prelude": PRELUDE, "slots": {"T01": f"def answer():\n{body}"}}
    bounds = Limits(**{**LIMITS.__dict__, **limits})
    return session.call("_call", {"code": code, "name": "answer"}, limits=bounds)


def holds_if_empty(reply: Reply, what: str) -> ProbeResult:
    """Return "holds" if the reply is an empty list, which is a list of the attacks that worked."""
    if not reply.ok:
        return incomplete(reply)
    found = reply.data["value"]
    return ProbeResult("FAILS", f"{what} {', '.join(found)}".strip()) if found else ProbeResult("holds")


def incomplete(reply: Reply) -> ProbeResult:
    """Return "FAILS" for a probe that did not run to its end, which proves nothing about the sandbox."""
    return ProbeResult("FAILS", f"the probe itself ended in {reply.kind}: {reply.error[:200]}")


@contextmanager
def unique_process_name() -> Iterator[str]:
    """Yield a name that no other process has, and kill the processes that still have it at the end."""
    name = "probe-" + secrets.token_hex(8)
    try:
        yield name
    finally:
        for pid in processes_named(name):
            os.kill(pid, 9)


def processes_named(name: str, patience: float = 0.0) -> list[int]:
    """Return the ids of processes of that name, after waiting at most `patience` seconds until none is left."""
    deadline = time.monotonic() + patience
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if entry.read_bytes().startswith(name.encode()):
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.05)
