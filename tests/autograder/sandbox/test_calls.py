"""A second try on an overloaded machine, a lost GPU, limits from the reference's cost."""

from __future__ import annotations

from typing import Any

import pytest

from assignment.registry import CallLimits, load_spec
from autograder.sandbox import Limits, Reply, SandboxError, calls, pressure
from autograder.sandbox.calls import Call, graded_call

SPEC = load_spec()
LIMITS = Limits(wall_s=1, cpu_s=1, memory_bytes=1, reply_bytes=1, threads=1)
CALL = Call("x", {}, limits=LIMITS)


class Scripted:
    """A session that gives these kinds of reply, one after the other."""

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


def test_a_timeout_on_an_overloaded_machine_is_tried_again_and_says_so(busy: dict[str, float]) -> None:
    session = Scripted("timeout", "answered")
    reply = graded_call(session, SPEC, CALL)
    assert (reply.kind, reply.data, session.ops) == ("answered", {"_tries": 2}, ["x", "x"])


def test_there_is_one_second_try_and_no_third(busy: dict[str, float]) -> None:
    session = Scripted("timeout", "timeout", "answered")
    assert graded_call(session, SPEC, CALL).kind == "timeout"
    assert len(session.ops) == 2


def test_a_timeout_on_a_quiet_machine_stands(busy: dict[str, float]) -> None:
    busy["share"] = 0.0
    session = Scripted("timeout")
    assert graded_call(session, SPEC, CALL).kind == "timeout"


@pytest.mark.parametrize("kind", ["answered", "crashed", "out_of_memory", "invalid", "not_attempted"])
def test_nothing_but_a_timeout_is_tried_again(kind: str, busy: dict[str, float]) -> None:
    assert graded_call(Scripted(kind), SPEC, CALL).kind == kind


@pytest.mark.parametrize("kind", ["crashed", "timeout"])
def test_a_gpu_that_no_longer_answers_is_our_failure(kind: str, busy: dict[str, float]) -> None:
    busy["share"] = 0.0
    with pytest.raises(SandboxError, match="GPU no longer answers"):
        graded_call(Scripted(kind, "crashed", device="cuda"), SPEC, CALL)


def test_a_crash_while_the_gpu_answers_is_the_submissions(busy: dict[str, float]) -> None:
    session = Scripted("crashed", "answered", device="cuda")
    assert graded_call(session, SPEC, CALL).kind == "crashed"
    assert session.ops == ["x", "_gpu"]


@pytest.mark.parametrize(("text", "share"), [("some avg10=97.60 avg60=1\nfull avg10=0.00", 0.976), ("", None)])
def test_pressure_is_read_from_the_kernel_or_from_the_load(
    text: str, share: float | None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "PRESSURE", tmp_path / "cpu")
    monkeypatch.setattr(pressure.os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    monkeypatch.setattr(pressure.os, "sched_getaffinity", lambda pid: {0, 1})
    if text:
        (tmp_path / "cpu").write_text(text)
    assert pressure.waiting_share() == pytest.approx(0.5 if share is None else share)


HUGE = {"wall_s": 4e3, "cpu_s": 4e3, "memory_bytes": 1 << 40, "reply_bytes": 1 << 40}  # over every kind's limits


def limits_of_t07(**cost: float) -> CallLimits:
    """The limits of T07, did the reference need this for it."""
    limits = SPEC.limits
    changed = limits.reference["T07"].model_copy(update=cost)
    return limits.model_copy(update={"reference": {**limits.reference, "T07": changed}}).of("slot", "T07")


@pytest.mark.parametrize("name", HUGE)
def test_a_limit_scales_with_the_references_cost_above_that_of_its_kind(name: str) -> None:
    factor = getattr(SPEC.limits.factor, name.partition("_")[0])
    limits = limits_of_t07(**{name: HUGE[name]})
    assert getattr(limits, name) == factor * HUGE[name]
    for other in set(HUGE) - {name}:
        assert getattr(limits, other) == getattr(SPEC.limits.slot, other)


def test_a_limit_is_never_below_its_kinds() -> None:
    assert limits_of_t07(wall_s=1e-9, cpu_s=0, memory_bytes=0, reply_bytes=0) == SPEC.limits.slot


def test_a_kind_without_a_limit_on_cpu_time_gets_none_from_the_factor() -> None:
    free = SPEC.limits.slot.model_copy(update={"cpu_s": 0})
    assert SPEC.limits.model_copy(update={"slot": free}).of("slot", "T07").cpu_s == 0


def test_overload_is_decided_by_the_registry(busy: dict[str, float]) -> None:
    busy["share"] = SPEC.limits.overload.waiting_share
    assert calls.is_overloaded(SPEC)
    busy["share"] -= 0.01
    assert not calls.is_overloaded(SPEC)
