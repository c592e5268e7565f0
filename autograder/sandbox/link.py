"""The grader's end of the two pipes to a worker. Sizes are bounded, and every wait has a deadline."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from autograder.inside.relay import OUTPUT_KEPT
from autograder.inside.wire import CHUNK, FrameReader, WireError, frame

from .protocol import ProtocolError, strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from .launch import Sandbox

FRAME_LIMITS = {b"H": 1 << 16, b"S": 256, b"C": CHUNK, b"E": 64 * OUTPUT_KEPT}
READ = 1 << 20


class LinkError(Exception):
    """The worker broke the protocol of frames."""


class LinkTimeoutError(LinkError):
    """The worker did not answer in time by the grader's clock."""


class LinkClosedError(LinkError):
    """The worker closed its pipe, so it has ended."""


class Link:
    """Sends frames to one worker and receives its frames."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._reader = FrameReader(FRAME_LIMITS)
        self._frames: deque[tuple[bytes, bytes]] = deque()

    def hello(self, deadline: float) -> dict[str, Any]:
        """Return what the worker reports of itself once it is ready. Raises LinkError."""
        kind, payload = self.receive(deadline)
        return self._object(kind, payload, b"H")

    def begin(self, request: bytes, *, start_s: float) -> dict[str, Any]:
        """Send a request and wait, at most start_s seconds, until the child runs. Return the worker's report of then.

        Raises LinkError, in which case no student code has run.
        """
        deadline = time.monotonic() + start_s
        self._send(frame(b"Q", request), deadline)
        kind, payload = self.receive(deadline)
        return self._object(kind, payload, b"S")

    def finish(self, *, wall_s: float, take: Callable[[bytes], None]) -> dict[str, Any]:
        """Pass every piece of the child's answer to `take` and return the worker's report, within wall_s seconds.

        Raises LinkError.
        """
        deadline = time.monotonic() + wall_s
        while True:
            kind, payload = self.receive(deadline)
            if kind != b"C":
                return self._object(kind, payload, b"E")
            take(payload)

    def receive(self, deadline: float) -> tuple[bytes, bytes]:
        """Return the next frame. Raises LinkTimeoutError, LinkClosedError or LinkError."""
        while not self._frames:
            self._wait(self.sandbox.reply, select.POLLIN, deadline)
            try:
                data = os.read(self.sandbox.reply, READ)
                self._frames.extend(self._reader.feed(data))
            except BlockingIOError:
                continue
            except WireError as error:
                raise LinkError(str(error)) from None
            if not data:
                raise LinkClosedError("the worker has ended")
        return self._frames.popleft()

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.sandbox.request, select.POLLOUT, deadline)
            try:
                view = view[os.write(self.sandbox.request, view[:READ]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise LinkClosedError("the worker has ended") from None

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise LinkTimeoutError("the worker does not answer")

    def _object(self, kind: bytes, payload: bytes, expected: bytes) -> dict[str, Any]:
        if kind != expected:
            raise LinkError(f"expected frame {expected!r}, got {kind!r}")
        try:
            value = strict_json(payload, FRAME_LIMITS[expected])
        except ProtocolError as error:
            raise LinkError(str(error)) from None
        if not isinstance(value, dict):
            raise LinkError(f"frame {expected!r} holds no object")
        return value
