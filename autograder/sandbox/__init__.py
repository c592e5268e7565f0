"""Run a submission's code in an isolated process. See `session.WorkerSession` and `tiers.choose_tier`."""

from __future__ import annotations

from autograder.sandbox.protocol import AnyTensors, TensorSpec

from .environment import SandboxError
from .reply import Limits, Reply
from .session import WorkerSession
from .tiers import UNSAFE, Tier, available_tiers, choose_tier

__all__ = [
    "UNSAFE", "AnyTensors", "Limits", "Reply", "SandboxError", "TensorSpec", "Tier", "WorkerSession",
    "available_tiers", "choose_tier",
]  # fmt: skip
