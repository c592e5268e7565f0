"""Calls into the sandbox as grading makes them.

A call that ran out of time while the machine is overloaded is made once more. If the GPU has stopped responding, that
is a SandboxError, and the submission is not blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from assignment.registry import Spec

if TYPE_CHECKING:
    from autograder.sandbox import Limits, Reply

Notify = Callable[[dict[str, Any]], None]


class Session(Protocol):
    """What is used of a WorkerSession."""

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
    """One operation of the worker: what it is sent, its limits, the tensors that the answer may hold (see
    WorkerSession.call), and who hears of its progress."""

    op: str
    payload: Mapping[str, Any]
    tensors: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(kw_only=True)
    expect: Any = None
    on_progress: Notify | None = None

    def made(self, session: Session) -> Reply:
        """The reply of this session."""
        return session.call(
            self.op, self.payload, self.tensors, limits=self.limits, expect=self.expect, on_progress=self.on_progress
        )


def graded_call(session: Session, spec: Spec, call: Call) -> Reply:
    """One call, or two: the second where the first ran out of time on an overloaded machine.

    The reply's data then say `_tries`: 2. Raises SandboxError where the GPU no longer answers: a crash or
    a timeout was not the submission's doing then. That is asked of the GPU and not read off the
    exception, which a submission could raise itself.
    """
    reply = call.made(session)
    if reply.kind == "timeout" and is_overloaded(spec):
        reply = call.made(session)
        reply.data["_tries"] = 2
    if reply.kind in ("crashed", "timeout") and getattr(session, "device", "cpu") == "cuda":
        require_gpu(session, call.limits)
    return reply


def is_overloaded(spec: Spec) -> bool:
    """Does the registry call this machine, as it is now, overloaded?"""
    from autograder.sandbox.pressure import waiting_share

    return waiting_share() >= spec.limits.overload.waiting_share


def require_gpu(session: Session, limits: Limits) -> None:
    """Let a fresh process in the sandbox compute on the GPU; SandboxError if it cannot."""
    from autograder.sandbox import SandboxError

    reply = session.call("_gpu", {"code": {}}, limits=limits)
    if not reply.ok:
        raise SandboxError(f"the GPU no longer answers: {reply.error[:300]}")
