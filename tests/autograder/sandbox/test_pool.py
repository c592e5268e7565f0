"""WorkerPool runs tasks side by side, keeps their order, and leaves no thread behind."""

from __future__ import annotations

import os
import threading
import time

import pytest
import torch

from autograder.sandbox import SandboxError
from autograder.sandbox.pool import WorkerPool, open_pool


class Session:
    """A fake session that starts, or does not, and can be ended."""

    def __init__(self, device="cpu", starts=True):
        self.device, self.starts, self.ended, self.closed = device, starts, threading.Event(), False

    def prewarm(self):
        if not self.starts:
            raise SandboxError("none here")

    def another(self):
        self.made = Session(self.device)
        return self.made

    def end(self):
        self.ended.set()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True


def test_results_keep_task_order_and_two_tasks_run_at_once():
    first, second = Session(), Session()
    both = threading.Barrier(2)

    def task(value, waits):
        def run(session):
            if waits:
                both.wait(timeout=30)  # passes only if the other task runs at the same time
            return value, session

        return run

    found = WorkerPool(first, [second]).run([task(7, True), task(3, True), task(5, False)])
    assert [value for value, _ in found] == [7, 3, 5]
    assert {session for _, session in found[:2]} == {first, second}


def test_first_session_does_tasks_of_session_that_does_not_start():
    first = Session()
    found = WorkerPool(first, [Session(starts=False)]).run([lambda session: session] * 3)
    assert found == [first] * 3


def test_interrupt_stops_computation_in_other_thread():
    other, begun = Session(), threading.Event()
    never = time.monotonic() + 60

    def task(session):
        if session is other:
            begun.set()
            while time.monotonic() < never:
                pass
        else:
            assert begun.wait(timeout=30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WorkerPool(Session(), [other]).run([task, task, task])
    assert other.ended.is_set()
    assert time.monotonic() < never - 20


def test_error_in_other_thread_is_raised():
    other, raised = Session(), threading.Event()

    def task(session):
        if session is other:
            raised.set()
            raise ValueError("seen")
        assert raised.wait(timeout=30)

    with pytest.raises(ValueError, match="seen"):
        WorkerPool(Session(), [other]).run([task, task])


def test_other_thread_flushes_denormals_too():
    other, begun, done = Session(), threading.Event(), threading.Event()

    def task(session):
        if session is other:
            assert begun.wait(timeout=30)  # otherwise the other thread may take both tasks
            done.set()
            return float(torch.tensor(1e-310, dtype=torch.float64) * 0.5)
        begun.set()
        assert done.wait(timeout=30)
        return None

    torch.set_flush_denormal(True)
    try:
        assert sorted(WorkerPool(Session(), [other]).run([task, task]), key=str) == [0.0, None]
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize(
    ("device", "cores", "wanted", "number"), [("cpu", 2, 2, 2), ("cpu", 1, 2, 1), ("cpu", 8, 1, 1), ("cuda", 8, 2, 1)]
)
def test_pool_has_wanted_sessions_at_most_one_per_core_and_one_on_gpu(monkeypatch, device, cores, wanted, number):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    session = Session(device)
    with open_pool(session, wanted) as pool:
        assert 1 + len(pool.others) == number
    assert all(other.closed for other in pool.others)


def test_pool_has_one_session_if_the_second_does_not_start(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    with open_pool(Session(starts=False), 2) as pool:
        assert pool.others == ()
