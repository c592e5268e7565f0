"""Calls into the sandbox as grading makes them: a timeout gets a second try, once, while the machine is
overloaded, and a GPU that was lost is our failure and nobody's mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from assignment.registry import Spec

if TYPE_CHECKING:
    from autograder.sandbox import Limits, Reply


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
        on_progress: Callable[[dict[str, Any]], None] | None = ...,
    ) -> Reply:
        """Run one operation in the sandbox."""


def graded_call(
    session: Session,
    spec: Spec,
    op: str,
    payload: Mapping[str, Any],
    tensors: Mapping[str, Any] = {},
    *,
    limits: Limits,
    expect: Any = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Reply:
    """One call, or two: the second where the first ran out of time on an overloaded machine.

    The reply's data then say `_tries`: 2. Raises SandboxError where the GPU no longer answers: a crash or
    a timeout was not the submission's doing then. That is asked of the GPU and not read off the
    exception, which a submission could raise itself.
    """

    def once() -> Reply:
        return session.call(op, payload, tensors, limits=limits, expect=expect, on_progress=on_progress)

    reply = once()
    if reply.kind == "timeout" and is_overloaded(spec):
        reply = once()
        reply.data["_tries"] = 2
    if reply.kind in ("crashed", "timeout") and getattr(session, "device", "cpu") == "cuda":
        require_gpu(session, limits)
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
