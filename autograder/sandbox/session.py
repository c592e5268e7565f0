"""WorkerSession keeps one sandbox per submission and runs each call in a fresh process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .environment import SandboxError
from .launch import Sandbox, start
from .link import Link, LinkClosedError, LinkError, LinkTimeoutError
from .protocol import Expect, encode_request
from .reply import Limits, Reply, ReplyStream, reply_from
from .tiers import Tier, choose_tier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import numpy as np

READY_SECONDS = 240.0  # importing torch and transformers, also on a busy machine
START_SECONDS = 240.0  # from the request to the child's start: sending it, importing what it needs
GRACE_SECONDS = 20.0  # the worker kills the child at its limit; this much later the grader kills the worker
MEMORY_SLACK = 192 << 20  # growth of the worker itself and the kernel's share, on top of what the libraries use


class WorkerSession:
    """A sandboxed worker for one submission. Starting is asynchronous: the first call waits for it.

    Only one thread may use a session at a time; any thread may call `end`. Whatever a submission does ends in a Reply.

    Args:
        device: "cpu" or "cuda".
        tier: a Tier, the worst tier number accepted, or None for the best tier of this machine.
        seed: seeds torch, NumPy and random at the start of every call.
        unsafe: accept tier 0, which isolates nothing.

    Raises:
        SandboxError: no sandbox works here. This is a grader error, never the submission's.
    """

    def __init__(
        self, *, device: str = "cpu", tier: Tier | int | None = None, seed: int = 0, unsafe: bool = False
    ) -> None:
        self.device, self.seed, self._ended = device, seed, False
        self.tier = tier if isinstance(tier, Tier) else choose_tier(tier, unsafe=unsafe)
        self.info: dict[str, Any] = {}
        self._sandbox: Sandbox | None = None
        self._link: Link | None = None
        self._start()

    def __enter__(self) -> WorkerSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the sandbox and everything in it."""
        sandbox, self._sandbox, self._link = self._sandbox, None, None
        if sandbox is not None:
            sandbox.kill()

    def another(self) -> WorkerSession:
        """Start another session with the same settings."""
        return type(self)(device=self.device, tier=self.tier, seed=self.seed)

    def end(self) -> None:
        """Abort the call that another thread is making: it raises SandboxError soon. `close` must still be called."""
        self._ended = True
        if (sandbox := self._sandbox) is not None:
            sandbox.end()

    def prewarm(self) -> dict[str, Any]:
        """Wait until the worker is ready and return what it reports of itself (versions, operations, memory)."""
        self._ready()
        return self.info

    def call(
        self,
        op: str,
        payload: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray] = {},
        *,
        limits: Limits,
        expect: Expect = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Reply:
        """Run one operation in a fresh child process.

        expect: the exact manifest of the answer's tensors, a function that computes it from the answer's data,
        AnyTensors, or None if the answer may hold no tensor. Raises SandboxError if the sandbox fails.
        """
        body = encode_request(self._header(limits), {**payload, "op": op}, tensors)
        link = self._ready()
        kills = self._oom_kills()
        self._begin(link, body, limits)
        stream, began = ReplyStream(limits.reply_bytes, on_progress), time.monotonic()
        try:
            report = link.finish(wall_s=limits.wall_s + GRACE_SECONDS, take=stream.take)
        except LinkError as error:
            reply = self._reply_of_lost_worker(error, kills, time.monotonic() - began)
            self._restart()  # raises SandboxError if the session was ended
            return reply
        except BaseException:
            self.close()
            raise
        out_of_memory = self._oom_kills() > kills
        if not report.get("clean"):
            self._restart()
        return reply_from(report, stream, expect, limits, out_of_memory)

    def _header(self, limits: Limits) -> dict[str, Any]:
        return {
            "wall_s": float(limits.wall_s), "cpu_s": limits.cpu_s, "memory_bytes": int(limits.memory_bytes),
            "reply_bytes": int(limits.reply_bytes), "threads": int(limits.threads), "seed": int(self.seed),
            "address_space": self.device != "cuda",  # CUDA reserves far more than it uses
        }  # fmt: skip

    def _start(self) -> None:
        if self._ended:
            raise SandboxError("the session was ended")
        self.info = {}
        self._sandbox = start(self.tier.backend, device=self.device, memory_group=self.tier.memory_group)
        self._link = Link(self._sandbox)

    def _restart(self) -> None:
        self.close()
        self._start()

    def _ready(self) -> Link:
        if self._sandbox is None or self._sandbox.process.poll() is not None:
            self._restart()
        assert self._link is not None
        assert self._sandbox is not None
        if not self.info:
            try:
                self.info = self._link.hello(time.monotonic() + READY_SECONDS)
            except LinkError as error:
                log = self._sandbox.errors()
                self.close()
                raise SandboxError(f"the worker does not start ({error}): {log[-1500:]}") from None
        return self._link

    def _begin(self, link: Link, body: bytes, limits: Limits) -> None:
        """Send the request and wait until the child runs. What goes wrong before that is a grader error."""
        self._limit_memory(limits)
        try:
            started = link.begin(body, start_s=START_SECONDS)
            if int(started["rss"]) > int(self.info["rss"]):  # it imported more for this call
                self.info["rss"] = int(started["rss"])
                self._limit_memory(limits)
        except (LinkError, KeyError, ValueError, TypeError) as error:
            log = self._sandbox.errors() if self._sandbox is not None else ""
            self.close()
            raise SandboxError(f"the worker failed before the call ({error}): {log[-1500:]}") from None
        except BaseException:
            self.close()
            raise

    def _limit_memory(self, limits: Limits) -> None:
        group = self._sandbox.cgroup if self._sandbox else None
        if group is not None:
            group.limit_memory(int(self.info["rss"]) + limits.memory_bytes + MEMORY_SLACK)

    def _oom_kills(self) -> int:
        group = self._sandbox.cgroup if self._sandbox else None
        return group.oom_kills() if group is not None else 0

    def _reply_of_lost_worker(self, error: LinkError, kills: int, wall_s: float) -> Reply:
        """The worker died, hung or broke the protocol; attribute this to the call in progress."""
        if isinstance(error, LinkTimeoutError):
            return Reply(False, "timeout", error="no answer by the grader's clock", wall_s=wall_s)
        if isinstance(error, LinkClosedError) and self._oom_kills() > kills:
            return Reply(False, "out_of_memory", error="killed at the memory limit", wall_s=wall_s)
        return Reply(False, "crashed", error=f"the call ended its worker: {error}", wall_s=wall_s)
