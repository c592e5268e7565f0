"""Supervise one child: forward its answer, keep part of its output, enforce its limits."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from .system import disk_usage
from .wire import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT_KEPT = 1 << 15
OUTPUT_LIMIT = 64 << 20
PROGRESS_LIMIT = 16 << 20
DISK_CHECK_SECONDS = 0.25  # between two measurements of a scratch folder that no file system bounds


class Output:
    """Counts what a call prints and keeps its head and its tail."""

    def __init__(self) -> None:
        self.size, self._head, self._tail = 0, bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        """Count these bytes, and keep those that are among the first or the last."""
        self.size += len(data)
        room = OUTPUT_KEPT - len(self._head)
        self._head += data[:room]
        self._tail = (self._tail + data[max(room, 0) :])[-OUTPUT_KEPT:]

    def text(self) -> str:
        """Return what was kept, with a line that says how much was left out."""
        cut = self.size - len(self._head) - len(self._tail)
        middle = f"\n... {cut} bytes left out ...\n".encode() if cut else b""
        return (bytes(self._head) + middle + bytes(self._tail)).decode("utf-8", "replace")


class Relay:
    """One call. `cause` says how it ended.

    "exit": by itself. "wall": out of time. "reply", "output": over the limit on the reply or the printed output.
    "disk": the scratch folder was full. "grader": the grader has died.
    """

    def __init__(self, child: int, answer: int, output: int, grader: int, header: dict[str, Any]) -> None:
        self.child, self.grader = child, grader
        self.answer, self.output = answer, output
        self.started = time.monotonic()
        self.wall_s = header["wall_s"]
        self.reply_limit = header["reply_bytes"] + PROGRESS_LIMIT
        self.cause, self.answer_bytes, self.printed = "exit", 0, Output()
        self.poll = select.poll()
        self.scratch_bytes: int = header["scratch_bytes"]  # 0 if the file system limits the folders
        self.scratch, self.disk_checked = header["scratch"], self.started

    def run(self, forward: Callable[[bytes], None]) -> dict[str, Any]:
        """Supervise the child until it has ended and return the report for the grader."""
        pidfd = os.pidfd_open(self.child)
        for fd in (pidfd, self.answer, self.output):
            self.poll.register(fd, select.POLLIN)
        self.poll.register(self.grader, 0)  # reports only that the other end is closed
        for fd in (self.answer, self.output):
            os.set_blocking(fd, False)
        ended = False
        while not ended and self.cause == "exit":
            left = self.started + self.wall_s - time.monotonic()
            wait = min(left, DISK_CHECK_SECONDS) if self.scratch_bytes else left
            ready = {fd for fd, _ in self.poll.poll(max(0.0, wait) * 1000)}
            if self.grader in ready:
                self.cause = "grader"
            ended = pidfd in ready
            for fd in (self.answer, self.output):
                if ended or fd in ready:
                    self._take(fd, forward, drain=ended)
            if left <= 0 and not ended and self.cause == "exit":
                self.cause = "wall"
            if not ended and self.cause == "exit" and self._disk_is_full():
                self.cause = "disk"
        for fd in (pidfd, self.answer, self.output):
            os.close(fd)
        return self._report()

    def _disk_is_full(self) -> bool:
        """Say whether the scratch folders hold too much. Measures at most once per DISK_CHECK_SECONDS."""
        if not self.scratch_bytes or time.monotonic() - self.disk_checked < DISK_CHECK_SECONDS:
            return False
        self.disk_checked = time.monotonic()
        return disk_usage(self.scratch, self.scratch_bytes) > self.scratch_bytes

    def _take(self, fd: int, forward: Callable[[bytes], None], *, drain: bool) -> None:
        """Read one piece, or with `drain` all that is there. Never waits, as other processes may hold the pipe open."""
        while self.cause == "exit":
            try:
                data = os.read(fd, CHUNK)
            except BlockingIOError:
                return
            if not data:
                with contextlib.suppress(KeyError):
                    self.poll.unregister(fd)
                return
            if fd == self.answer:
                self.answer_bytes += len(data)
                self.cause = "reply" if self.answer_bytes > self.reply_limit else "exit"
                forward(data)
            else:
                self.printed.add(data)
                self.cause = "output" if self.printed.size > OUTPUT_LIMIT else "exit"
            if not drain:
                return

    def _report(self) -> dict[str, Any]:
        if self.cause != "exit":
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
        _, status, usage = os.wait4(self.child, 0)
        return {
            "cause": self.cause,
            "code": os.waitstatus_to_exitcode(status),
            "output": self.printed.text(),
            "wall_s": time.monotonic() - self.started,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "rss": usage.ru_maxrss * 1024,
        }
