"""Limits of a call, its Reply, and the decoding of a child's bytes into a Reply."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autograder.inside.wire import FrameReader, WireError

from .protocol import PROGRESS_BYTES, DecodedReply, Expect, ProtocolError, decode_reply, strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from assignment.registry import CallLimits, Spec


@dataclass(frozen=True)
class Limits:
    """What one call may use.

    wall_s: seconds of wall-clock time. cpu_s: CPU seconds of the process (None: no limit). memory_bytes: memory beyond
    what the imported libraries use. reply_bytes: size of the whole answer. threads: number of PyTorch threads.
    """

    wall_s: float
    cpu_s: float | None
    memory_bytes: int
    reply_bytes: int
    threads: int

    @classmethod
    def for_item(cls, spec: Spec, kind: str, item: str | None = None, threads: int | None = None) -> Limits:
        """Read the limits of an item whose calls are of this kind, or of the kind itself, from the registry.

        threads: replaces the registry's number of threads.
        """
        bounds: CallLimits = spec.limits.for_item(kind, item) if item is not None else getattr(spec.limits, kind)
        return cls(
            bounds.wall_s, bounds.cpu_s or None, bounds.memory_bytes, bounds.reply_bytes, threads or spec.threads
        )


@dataclass(frozen=True)
class Reply:
    """How a call ended.

    kind: answered, not_attempted, crashed, timeout, out_of_memory or invalid (breaks the protocol).
    data: JSON. Keys that the worker and the grader add start with "_": `_prelude_errors`, `_slot`, `_type`,
    `_traceback`, `_output` (head and tail of what was printed), `_tries`.
    error: exception type and text. All text may come from the student, so it is shown on the TA's page only.
    cpu_s, peak_bytes (resident memory, libraries included), reply_bytes: what the call used.
    """

    ok: bool
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    error: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    reply_bytes: int = 0


class ReplyStream:
    """Reads a child's bytes: progress records, then exactly one reply. It ignores what follows a violation."""

    def __init__(self, reply_bytes: int, on_progress: Callable[[dict[str, Any]], None] | None) -> None:
        self._reader = FrameReader({b"P": PROGRESS_BYTES, b"R": reply_bytes})
        self._on_progress = on_progress
        self.body: bytes | None = None
        self.problem = ""

    def take(self, data: bytes) -> None:
        """Read the next bytes. A violation of the protocol is kept in `problem`."""
        if self.problem:
            return
        try:
            for kind, payload in self._reader.feed(data):
                if self.body is not None:
                    raise ProtocolError("something follows the reply")
                if kind == b"R":
                    self.body = payload
                else:
                    self._report_progress(payload)
        except (WireError, ProtocolError) as error:
            self.problem = str(error)

    def _report_progress(self, payload: bytes) -> None:
        record = strict_json(payload, PROGRESS_BYTES)
        if not isinstance(record, dict):
            raise ProtocolError("a progress record is not an object")
        if self._on_progress is not None:
            self._on_progress(record)

    def decode(self, expect: Expect) -> DecodedReply:
        """Decode the reply. Raises ProtocolError."""
        if not self.problem and self._reader.pending and self.body is not None:
            self.problem = "something follows the reply"
        if self.problem or self.body is None:
            raise ProtocolError(self.problem or "no reply")
        return decode_reply(self.body, expect)


def reply_from(
    report: dict[str, Any], stream: ReplyStream, expect: Expect, limits: Limits, out_of_memory: bool
) -> Reply:
    """Combine the worker's report and the child's bytes into one Reply."""
    wall = float(report["wall_s"])
    extra = {"_output": report["output"]} if report["output"] else {}
    if report["cause"] == "wall":
        return Reply(False, "timeout", extra, error=f"over {limits.wall_s:g} s", wall_s=wall)
    if report["cause"] == "output":
        return Reply(False, "crashed", extra, error="printed more than 64 MiB", wall_s=wall)
    if report["cause"] == "disk":
        return Reply(False, "crashed", extra, error="wrote more files than fit into its scratch folder", wall_s=wall)
    if report["cause"] == "reply":
        return Reply(False, "invalid", extra, error="the answer is over its size limit", wall_s=wall)
    if stream.body is None and not stream.problem:
        kind, error = _classify_exit(report, limits, out_of_memory)
        return Reply(False, kind, extra, error=error, wall_s=wall)
    try:
        decoded = stream.decode(expect)
    except ProtocolError as error:
        return Reply(False, "invalid", extra, error=str(error), wall_s=wall)
    ok = decoded.kind == "answered"
    used = (wall, float(report["cpu_s"]), int(report["rss"]), len(stream.body or b""))
    return Reply(ok, decoded.kind, {**decoded.data, **extra}, decoded.tensors, decoded.error, *used)


def _classify_exit(report: dict[str, Any], limits: Limits, out_of_memory: bool) -> tuple[str, str]:
    """Return (kind, error) of a child that ended without a reply."""
    code = int(report["code"])
    if out_of_memory:
        return "out_of_memory", "killed at the memory limit"
    over = limits.cpu_s is not None and float(report["cpu_s"]) >= max(1, round(limits.cpu_s))
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and over):
        return "timeout", f"over {limits.cpu_s:g} CPU seconds"
    if code < 0:
        return "crashed", f"killed by {signal.Signals(-code).name}"
    return "crashed", f"the process ended with code {code} before it answered (exit(), os._exit or a crash)"
