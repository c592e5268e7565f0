"""Retries on an overloaded machine, an unresponsive GPU, and limits from the reference's cost."""

from __future__ import annotations

from typing import Any

import pytest

from assignment.registry import CallLimits, load_spec
from autograder.sandbox import Limits, Reply, SandboxError, calls, pressure
from autograder.sandbox.calls import Call, call_with_retry

SPEC = load_spec()
LIMITS = Limits(wall_s=1, cpu_s=1, memory_bytes=1, reply_bytes=1, threads=1)
CALL = Call("x", {}, limits=LIMITS)


class Scripted:
    """A fake session that replies with these kinds, one after the other."""

    def __init__(self, *kinds: str, device: str = "cpu") -> None:
        self.kinds, self.device, self.ops = list(kinds), device, []

    def call(self, op: str, payload: Any, tensors: Any = None, **options: Any) -> Reply:
        self.ops.append(op)
        kind = self.kinds.pop(0)
        return Reply(kind == "answered", kind)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    share = {"share": 1.0}
    monkeypatch.setattr(pressure, "waiting_share", lambda: share["share"])
    return share


def test_timeout_on_overloaded_machine_is_retried_and_reported(busy: dict[str, float]) -> None:
    session = Scripted("timeout", "answered")
    reply = call_with_retry(session, SPEC, CALL)
    assert (reply.kind, reply.data, session.ops) == ("answered", {"_tries": 2}, ["x", "x"])


def test_timed_out_call_is_retried_only_once(busy: dict[str, float]) -> None:
    session = Scripted("timeout", "timeout", "answered")
    assert call_with_retry(session, SPEC, CALL).kind == "timeout"
    assert len(session.ops) == 2


def test_timeout_on_idle_machine_is_not_retried(busy: dict[str, float]) -> None:
    busy["share"] = 0.0
    session = Scripted("timeout")
    assert call_with_retry(session, SPEC, CALL).kind == "timeout"


@pytest.mark.parametrize("kind", ["answered", "crashed", "out_of_memory", "invalid", "not_attempted"])
def test_only_timeouts_are_retried(kind: str, busy: dict[str, float]) -> None:
    assert call_with_retry(Scripted(kind), SPEC, CALL).kind == kind


@pytest.mark.parametrize("kind", ["crashed", "timeout"])
def test_unresponsive_gpu_raises_sandbox_error(kind: str, busy: dict[str, float]) -> None:
    busy["share"] = 0.0
    with pytest.raises(SandboxError, match="GPU no longer answers"):
        call_with_retry(Scripted(kind, "crashed", device="cuda"), SPEC, CALL)


def test_crash_with_working_gpu_is_attributed_to_submission(busy: dict[str, float]) -> None:
    session = Scripted("crashed", "answered", device="cuda")
    assert call_with_retry(session, SPEC, CALL).kind == "crashed"
    assert session.ops == ["x", "_gpu"]


@pytest.mark.parametrize(("text", "share"), [("some avg10=97.60 avg60=1\nfull avg10=0.00", 0.976), ("", None)])
def test_pressure_comes_from_kernel_or_load_average(
    text: str, share: float | None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "PRESSURE", tmp_path / "cpu")
    monkeypatch.setattr(pressure.os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    monkeypatch.setattr(pressure.os, "sched_getaffinity", lambda pid: {0, 1})
    if text:
        (tmp_path / "cpu").write_text(text)
    assert pressure.waiting_share() == pytest.approx(0.5 if share is None else share)


HUGE = {"wall_s": 4e3, "cpu_s": 4e3, "memory_bytes": 1 << 40, "reply_bytes": 1 << 40}  # above the limits of any kind


def limits_of_t07(**cost: float) -> CallLimits:
    """Return the limits of T07 as they would be if the reference needed this much for it."""
    limits = SPEC.limits
    changed = limits.reference["T07"].model_copy(update=cost)
    return limits.model_copy(update={"reference": {**limits.reference, "T07": changed}}).for_item("slot", "T07")


@pytest.mark.parametrize("name", HUGE)
def test_limit_scales_with_reference_cost(name: str) -> None:
    factor = getattr(SPEC.limits.factor, name.partition("_")[0])
    limits = limits_of_t07(**{name: HUGE[name]})
    assert getattr(limits, name) == factor * HUGE[name]
    for other in set(HUGE) - {name}:
        assert getattr(limits, other) == getattr(SPEC.limits.slot, other)


def test_limit_is_never_below_that_of_its_kind() -> None:
    assert limits_of_t07(wall_s=1e-9, cpu_s=0, memory_bytes=0, reply_bytes=0) == SPEC.limits.slot


def test_kind_without_cpu_limit_gets_none_from_reference_cost() -> None:
    free = SPEC.limits.slot.model_copy(update={"cpu_s": 0})
    assert SPEC.limits.model_copy(update={"slot": free}).for_item("slot", "T07").cpu_s == 0


def test_registry_defines_overload(busy: dict[str, float]) -> None:
    busy["share"] = SPEC.limits.overload.waiting_share
    assert calls.is_overloaded(SPEC)
    busy["share"] -= 0.01
    assert not calls.is_overloaded(SPEC)
