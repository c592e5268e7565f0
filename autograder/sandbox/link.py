"""The grader's end of the two pipes: bounded, with a deadline on every wait."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from autograder.inside.relay import OUTPUT_KEPT
from autograder.inside.wire import CHUNK, FrameReader, WireError, frame
from autograder.sandbox.protocol import InvalidAnswer, strict_json

from .launch import Sandbox

FRAME_LIMITS = {b"H": 1 << 16, b"S": 256, b"C": CHUNK, b"E": 64 * OUTPUT_KEPT}
READ = 1 << 20


class LinkError(Exception):
    """The worker did not keep to the conversation."""


class LinkTimeout(LinkError):
    """It did not answer in time by the grader's clock."""


class LinkClosed(LinkError):
    """It is gone."""


class Link:
    """Frames to and from one worker."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._reader = FrameReader(FRAME_LIMITS)
        self._frames: deque[tuple[bytes, bytes]] = deque()

    def hello(self, deadline: float) -> dict[str, Any]:
        """What the worker says once it is ready. Raises LinkError."""
        kind, payload = self.receive(deadline)
        return self._object(kind, payload, b"H")

    def begin(self, request: bytes, *, start_s: float) -> dict[str, Any]:
        """Send a request and wait, at most start_s seconds, until the child runs; what the worker says about
        itself then. Raises LinkError: no student code has run."""
        deadline = time.monotonic() + start_s
        self._send(frame(b"Q", request), deadline)
        kind, payload = self.receive(deadline)
        return self._object(kind, payload, b"S")

    def finish(self, *, wall_s: float, take: Callable[[bytes], None]) -> dict[str, Any]:
        """Hand every piece of the child's answer to `take`, return the worker's report, within wall_s seconds.
        Raises LinkError."""
        deadline = time.monotonic() + wall_s
        while True:
            kind, payload = self.receive(deadline)
            if kind != b"C":
                return self._object(kind, payload, b"E")
            take(payload)

    def receive(self, deadline: float) -> tuple[bytes, bytes]:
        """The next frame. Raises LinkTimeout, LinkClosed or LinkError."""
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
                raise LinkClosed("the worker has ended")
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
                raise LinkClosed("the worker has ended") from None

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise LinkTimeout("the worker does not answer")

    def _object(self, kind: bytes, payload: bytes, expected: bytes) -> dict[str, Any]:
        if kind != expected:
            raise LinkError(f"expected frame {expected!r}, got {kind!r}")
        try:
            value = strict_json(payload, FRAME_LIMITS[expected])
        except InvalidAnswer as error:
            raise LinkError(str(error)) from None
        if not isinstance(value, dict):
            raise LinkError(f"frame {expected!r} holds no object")
        return value
