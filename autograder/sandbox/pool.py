"""Run training tests side by side, each on one core and in a sandbox of its own.

The tests start from reference weights and do not depend on each other. Two small models that train on one thread each
finish sooner than one after the other on two threads, because splitting one sum among threads costs time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from .environment import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .session import WorkerSession

T = TypeVar("T")


class WorkerPool:
    """Worker sessions that take tasks from one queue.

    The first session works in the caller's thread, each of the others in a thread of its own. If one of the others
    does not start, the rest do its tasks.
    """

    def __init__(self, first: WorkerSession, others: Sequence[WorkerSession] = ()) -> None:
        self.first, self.others = first, tuple(others)
        self._threads: set[int] = set()

    def run(self, tasks: Sequence[Callable[[WorkerSession], T]]) -> list[T]:
        """Run the tasks in order and return their results in that order.

        If a task raises (including KeyboardInterrupt), cancel the others and re-raise.
        """
        waiting: deque[tuple[int, Callable[[WorkerSession], T]]] = deque(enumerate(tasks))
        results: dict[int, T] = {}

        def work(session: WorkerSession) -> None:
            while (due := _take_next(waiting)) is not None:
                index, task = due
                results[index] = task(session)

        with ThreadPoolExecutor(max(1, len(self.others)), thread_name_prefix="worker-pool") as threads:
            futures = [threads.submit(self._start_and_work, work, session) for session in self.others]
            try:
                work(self.first)
                for future in futures:
                    future.result()
            except BaseException:
                waiting.clear()
                self._interrupt()
                raise
        return [results[index] for index in range(len(tasks))]

    def _start_and_work(self, work: Callable[[WorkerSession], None], session: WorkerSession) -> None:
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
        """Cancel what the other threads do.

        `end` aborts a call in the sandbox. A thread may also be measuring models in this process, and the interrupt
        raised here stops it after the current tensor operation. A flag that is checked between the parts of a stage
        would be simpler, but measuring is one part and takes 3 to 6 seconds of CPU time per stage (8 to 22 seconds by
        the clock on a busy machine with two cores): Ctrl-C would wait that long.
        """
        for ident in tuple(self._threads):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))
        for session in self.others:
            session.end()


def _take_next(waiting: deque[T]) -> T | None:
    """Remove and return the first waiting task, or return None if another thread took the last one."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


@contextlib.contextmanager
def open_pool(session: WorkerSession, wanted: int) -> Iterator[WorkerPool]:
    """Open up to `wanted` sessions, this one included, at most one per CPU core; on a GPU, only one.

    The further sessions start once this one has started.
    """
    number = 1 if session.device == "cuda" else min(wanted, len(os.sched_getaffinity(0)))
    with contextlib.ExitStack() as stack:
        others: list[WorkerSession] = []
        with contextlib.suppress(SandboxError):
            if number > 1:
                session.prewarm()
            while len(others) < number - 1:
                others.append(stack.enter_context(session.another()))
        yield WorkerPool(session, others)
