"""Worker sessions that all tests share, because starting one takes seconds and a call milliseconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from autograder.sandbox import AnyTensors, Limits, Reply, WorkerSession, choose_tier
from autograder.sandbox.tiers import Tier, candidates, check_tier

MIB = 1 << 20
LIMITS = Limits(wall_s=20, cpu_s=20, memory_bytes=1024 * MIB, reply_bytes=4 * MIB, threads=1)
Run = Callable[..., Reply]


def _find_tier(backend: str) -> Tier:
    if backend == "best":
        return choose_tier()
    found = [tier for tier in candidates() if tier.backend == backend and not check_tier(tier)]
    return found[0] if found else pytest.skip(f"{backend} does not work on this machine")


def landlock_works() -> bool:
    """Say whether tier 3 works here."""
    return any(tier.backend == "landlock" and not check_tier(tier) for tier in candidates())


@pytest.fixture(scope="session")
def workers() -> Iterator[dict[str, WorkerSession]]:
    """Yield the sessions by backend. The two that the default tests use start side by side."""
    sessions: dict[str, WorkerSession] = {}
    yield sessions
    for session in sessions.values():
        session.close()


@pytest.fixture
def best(workers: dict[str, WorkerSession]) -> WorkerSession:
    """Return a running worker of this machine's best tier."""
    if "best" not in workers:
        workers["best"] = WorkerSession(tier=_find_tier("best"), seed=7)
    return workers["best"]


@pytest.fixture(params=["best", "landlock", pytest.param("bwrap-user", marks=pytest.mark.slow)])
def session(request: pytest.FixtureRequest, workers: dict[str, WorkerSession], best: WorkerSession) -> WorkerSession:
    """Return a running worker of each backend that this machine offers."""
    for backend in (request.param, "landlock"):  # started side by side, as nearly every test runs in both
        if backend not in workers and (backend == request.param or landlock_works()):
            workers[backend] = WorkerSession(tier=_find_tier(backend), seed=7)
    return workers[request.param]


@pytest.fixture
def no_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine on which rlhf_kit is not installed."""
    find = importlib.util.find_spec

    def found(name: str, *package: str) -> Any:
        return None if name == "rlhf_kit" else find(name, *package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def runner(session: WorkerSession) -> Run:
    """Return run(source, tensors={}, **limits) -> Reply, which calls a student's function `answer` in that session."""

    def call(source: str, tensors: dict[str, Any] | None = None, **changes: Any) -> Reply:
        code = {"prelude": "import os, sys, time\nimport torch\n", "slots": {"T01": source}}
        limits = Limits(**{**LIMITS.__dict__, **changes})
        payload = {"code": code, "name": "answer"}
        return session.call("_call", payload, tensors or {}, limits=limits, expect=AnyTensors())

    return call


@pytest.fixture
def run(session: WorkerSession) -> Run:
    """Return the runner of each backend."""
    return runner(session)


@pytest.fixture
def run_best(best: WorkerSession) -> Run:
    """Return the runner of the best tier, for tests that take long or do not depend on the backend."""
    return runner(best)
