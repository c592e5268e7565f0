"""The frame of a probe: student code that attacks its sandbox, and a look at what it did."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autograder.sandbox import Limits, Reply, WorkerSession

MIB = 1 << 20
LIMITS = Limits(wall_s=30, cpu_s=30, memory_bytes=256 * MIB, reply_bytes=4 * MIB, threads=1)
PRELUDE = "import ctypes, os, socket, sys, time\nimport torch\n"

State = Literal["holds", "soft", "FAILS", "none"]


@dataclass(frozen=True)
class Verdict:
    """What a probe found; `detail` says what did not hold."""

    state: State
    detail: str = ""


@dataclass(frozen=True)
class Probe:
    """One question to a sandbox. device: the session's."""

    name: str
    run: Callable[[WorkerSession], Verdict]
    device: str = "cpu"


def answer(session: WorkerSession, body: str, **limits: Any) -> Reply:
    """The reply to a call of student code; `body` is the body of its function, indented by four spaces."""
    code = {"prelude": PRELUDE, "slots": {"T01": f"def answer():\n{body}"}}
    bounds = Limits(**{**LIMITS.__dict__, **limits})
    return session.call("_call", {"code": code, "name": "answer"}, limits=bounds)


def nothing(reply: Reply, what: str) -> Verdict:
    """Holds if the reply is an empty list of what could be done."""
    if not reply.ok:
        return broken(reply)
    found = reply.data["value"]
    return Verdict("FAILS", f"{what} {', '.join(found)}".strip()) if found else Verdict("holds")


def broken(reply: Reply) -> Verdict:
    """Fails: the probe did not come to an end, so nothing was shown."""
    return Verdict("FAILS", f"the probe itself ended in {reply.kind}: {reply.error[:200]}")


@contextmanager
def token_name() -> Iterator[str]:
    """A name for processes that nobody else has; whatever still bears it in the end is killed."""
    token = "probe-" + secrets.token_hex(8)
    try:
        yield token
    finally:
        for pid in running(token):
            os.kill(pid, 9)


def running(token: str, patience: float = 0.0) -> list[int]:
    """Processes of that name, once `patience` seconds have passed or none is left."""
    deadline = time.monotonic() + patience
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if entry.read_bytes().startswith(token.encode()):
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.05)
