"""Training tests side by side, each on one core in a sandbox of its own.

They start from reference weights and need nothing of each other, and two small models that train on one thread
each are done sooner than one after the other on two: sums are split among threads at a price.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession

T = TypeVar("T")


class WorkerPool:
    """Worker sessions that take tasks from one queue. The first works in the caller's thread; one of the
    others that does not start leaves its tasks to the rest."""

    def __init__(self, first: WorkerSession, others: Sequence[WorkerSession] = ()) -> None:
        self.first, self.others = first, tuple(others)
        self._threads: set[int] = set()

    def run(self, tasks: Sequence[Callable[[WorkerSession], T]]) -> list[T]:
        """Each task's value, in their order, in which they are begun too. What a task raises, an interrupt for
        one, ends the others and is raised here."""
        waiting: deque[tuple[int, Callable[[WorkerSession], T]]] = deque(enumerate(tasks))
        found: dict[int, T] = {}

        def work(session: WorkerSession) -> None:
            while (due := _next(waiting)) is not None:
                index, task = due
                found[index] = task(session)

        with ThreadPoolExecutor(max(1, len(self.others)), thread_name_prefix="lane") as pool:
            futures = [pool.submit(self._join, work, session) for session in self.others]
            try:
                work(self.first)
                for future in futures:
                    future.result()
            except BaseException:
                waiting.clear()
                self._interrupt()
                raise
        return [found[index] for index in range(len(tasks))]

    def _join(self, work: Callable[[WorkerSession], None], session: WorkerSession) -> None:
        from autograder.sandbox import SandboxError

        try:
            session.prewarm()
        except SandboxError:
            return
        self._threads.add(threading.get_ident())
        try:
            work(session)
        finally:
            self._threads.discard(threading.get_ident())

    def _interrupt(self) -> None:
        """End what the other lanes do: the sandbox, or else the measuring, between two of its operations."""
        for ident in tuple(self._threads):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))
        for session in self.others:
            session.end()


def _next(waiting: deque[T]) -> T | None:
    """The first of those that wait; None if another lane took the last."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


@contextlib.contextmanager
def open_pool(session: WorkerSession, wanted: int) -> Iterator[WorkerPool]:
    """WorkerPool on this session and on further ones like it: as many as wanted, at most one a core, and one on a
    GPU, which they would share. The further ones start when this one has."""
    from autograder.sandbox import SandboxError

    number = 1 if session.device == "cuda" else min(wanted, len(os.sched_getaffinity(0)))
    with contextlib.ExitStack() as stack:
        others: list[WorkerSession] = []
        with contextlib.suppress(SandboxError):
            if number > 1:
                session.prewarm()
            for _ in range(number - 1):
                others.append(stack.enter_context(session.another()))
        yield WorkerPool(session, others)
