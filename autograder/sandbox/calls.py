"""Calls into the sandbox as grading makes them.

Retry a timed-out call once if the machine is overloaded. If the GPU has stopped responding, raise SandboxError rather
than blaming the submission.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from . import pressure
from .environment import SandboxError

if TYPE_CHECKING:
    from assignment.registry import Spec

    from .reply import Limits, Reply

Notify = Callable[[dict[str, Any]], None]


class Session(Protocol):
    """The part of WorkerSession that makes calls."""

    def call(
        self,
        op: str,
        payload: Mapping[str, Any],
        tensors: Mapping[str, Any] = ...,
        *,
        limits: Limits,
        expect: Any = ...,
        on_progress: Notify | None = ...,
    ) -> Reply:
        """Run one operation in the sandbox."""


@dataclass(frozen=True)
class Call:
    """One operation of the worker.

    Holds what the worker is sent, the call's limits, the tensors that the answer may hold (see WorkerSession.call),
    and the function that receives progress records.
    """

    op: str
    payload: Mapping[str, Any]
    tensors: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(kw_only=True)
    expect: Any = None
    on_progress: Notify | None = None

    def send(self, session: Session) -> Reply:
        """Make the call in this session and return its reply."""
        return session.call(
            self.op, self.payload, self.tensors, limits=self.limits, expect=self.expect, on_progress=self.on_progress
        )


def call_with_retry(session: Session, spec: Spec, call: Call) -> Reply:
    """Make the call, and make it once more if it timed out on an overloaded machine.

    The data of a second reply say `_tries`: 2. Raises SandboxError if the GPU no longer responds: the crash or timeout
    is then a grader error. The GPU is asked, rather than the exception read, because a submission could raise the same
    exception itself.
    """
    reply = call.send(session)
    if reply.kind == "timeout" and is_overloaded(spec):
        reply = call.send(session)
        reply.data["_tries"] = 2
    if reply.kind in ("crashed", "timeout") and getattr(session, "device", "cpu") == "cuda":
        require_gpu(session, call.limits)
    return reply


def is_overloaded(spec: Spec) -> bool:
    """Say whether the machine is now overloaded by the registry's definition."""
    return pressure.waiting_share() >= spec.limits.overload.waiting_share


def require_gpu(session: Session, limits: Limits) -> None:
    """Compute on the GPU in a fresh sandboxed process. Raises SandboxError if that fails."""
    reply = session.call("_gpu", {"code": {}}, limits=limits)
    if not reply.ok:
        raise SandboxError(f"the GPU no longer answers: {reply.error[:300]}")
