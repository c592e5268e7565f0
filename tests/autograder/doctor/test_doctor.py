"""Doctor's probes against every sandbox of this machine, and its advice for simulated machines."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import replace

import pytest

from assignment.registry import load_spec
from autograder import doctor
from autograder.doctor import Probe, ProbeResult, TierResult, findings, table
from autograder.doctor.advice import Machine, advice
from autograder.doctor.probe import LIMITS, processes_named, unique_process_name
from autograder.sandbox import UNSAFE, SandboxError, Tier, WorkerSession

ISOLATED, SOFT, RESTRICTED = Tier(1, "bwrap-root", True), Tier(2, "bwrap-root", False), Tier(3, "landlock", False)
GOOD = Machine(bubblewrap=True, userns_blocked=False, group=True, root=False, landlock=6)
# What a tier's own text says it does not bound in full.
IN_PART = {1: set(), 2: {"memory bomb"}, 3: {"memory bomb", "disk fill"}}
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="holds for an ordinary user even without a sandbox")
HEAVY = {"fork bomb", "memory bomb"}  # seconds each


def tier_result(tier: Tier, **states: str) -> TierResult:
    """Probes hold unless `states` says otherwise."""
    return TierResult(tier, {probe.name: ProbeResult(states.get(probe.name, "holds")) for probe in doctor.PROBES})


@pytest.mark.parametrize(
    "probe",
    [pytest.param(p, marks=pytest.mark.slow) if p.name in HEAVY else p for p in doctor.PROBES if p.device == "cpu"],
    ids=lambda probe: probe.name,
)
def test_each_tier_holds_against_each_probe(probe: Probe, session: WorkerSession) -> None:
    result = probe.run(session)
    assert result.state in ("holds", *(["soft"] if probe.name in IN_PART[session.tier.number] else [])), result
    assert session.call("_echo", {"value": 1}, limits=LIMITS).ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("network", "reachable"),
        ("foreign file", "opened"),
        ("environment", "read"),
        pytest.param("ptrace", "worked ptrace, process_vm_readv, /proc/PID/mem", marks=AS_ROOT),
        pytest.param("fork bomb", "not bounded", marks=AS_ROOT),
    ],
)
def test_probe_fails_without_a_sandbox(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At tier 0 the worker still counts an ordinary user's processes, and its memory is closed to all but root."""
    monkeypatch.setenv("RLHF_LAB_CANARY", "secret")
    probe = next(one for one in doctor.PROBES if one.name == name)
    with WorkerSession(tier=UNSAFE) as session:
        result = probe.run(session)
        assert result.state == "FAILS", result
        assert words in result.detail
        assert session.call("_echo", {"value": 1}, limits=LIMITS).ok  # the probe itself did no harm


def test_surviving_process_is_found_and_killed() -> None:
    with unique_process_name() as name:
        child = subprocess.Popen([name, "600"], executable="/bin/sleep")
        try:
            named_by = time.monotonic() + 10  # Popen returns as soon as exec has begun: the new name comes after that
            while not (found := processes_named(name)) and time.monotonic() < named_by:
                time.sleep(0.01)
            assert found == [child.pid]
            assert processes_named(name, patience=0.1) == [child.pid]
        finally:
            child.kill()
            child.wait()
        assert processes_named(name) == []


@pytest.mark.gpu
def test_the_gpu_is_visible_and_usable_inside() -> None:
    with WorkerSession(device="cuda") as session:
        assert doctor.PROBES[-1].run(session) == ProbeResult("holds")


def test_a_tier_with_one_failed_probe_is_not_safe() -> None:
    assert doctor.is_safe(tier_result(ISOLATED))
    assert doctor.is_safe(tier_result(SOFT, **{"memory bomb": "soft"}))
    assert not doctor.is_safe(tier_result(ISOLATED, network="FAILS"))
    assert not doctor.is_safe(TierResult(ISOLATED, reason="denied"))


@pytest.mark.parametrize("ends", ["a result", "an exception"])
def test_unusable_gpu_leaves_the_tier_safe(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This happens where the device exists and torch is its CPU build."""

    class Session(contextlib.AbstractContextManager[None]):
        def __init__(self, tier: Tier, device: str) -> None:
            if device == "cuda" and ends == "an exception":
                raise SandboxError("no driver")

        def __exit__(self, *error: object) -> None:
            """Nothing was started."""

    def result(device: str) -> ProbeResult:
        return ProbeResult("holds" if device == "cpu" else "FAILS")

    probes = tuple(replace(one, run=lambda _, device=one.device: result(device)) for one in doctor.PROBES)
    for name, value in {"PROBES": probes, "WorkerSession": Session, "candidates": lambda: [SOFT],
                        "check_tier": lambda _: "", "cuda_devices": lambda: ["/dev/nvidia0"]}.items():  # fmt: skip
        monkeypatch.setattr(table, name, value)
    (probed,) = doctor.probe_tiers(every_way=False, on_progress=lambda _: None)
    assert probed.probes["GPU"].state == "FAILS"
    assert not probed.reason
    assert doctor.is_safe(probed)
    assert any("GPU" in line for line in doctor.tier_details([probed]))


@pytest.mark.parametrize(("root", "version", "told"), [(True, 0, True), (True, 5, False), (False, 5, True)])
def test_an_ordinary_user_needs_a_newer_landlock_than_root(root: bool, version: int, told: bool) -> None:
    machine = Machine(**{**GOOD.__dict__, "root": root, "landlock": version})
    text = "\n".join(advice(machine, []))
    assert ("no Landlock that would do" in text) == ("Linux 6.12" in text) == told


@pytest.mark.parametrize(("pages", "warned"), [(1 << 18, True), (1 << 30, False)])  # 1 GiB, 4 TiB
def test_too_little_memory_for_the_limits_is_reported(
    pages: int, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, real = {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}, os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: values.get(name) or real(name))
    text = next(one.detail for one in findings.findings(load_spec()) if one.what == "memory")
    assert text.startswith(f"{pages / (1 << 18):.1f} GiB")
    assert ("parallel_stages = 1" in text) == warned


def test_the_table_has_a_row_for_each_probe_and_a_column_for_each_tier() -> None:
    shown = doctor.tier_table([tier_result(ISOLATED), TierResult(RESTRICTED, reason="no Landlock")])
    assert (shown.row_count, len(shown.columns)) == (len(doctor.PROBES), 3)


@pytest.mark.parametrize(
    ("changes", "found", "words"),
    [
        ({}, [ISOLATED], []),
        ({"bubblewrap": False}, [RESTRICTED], ["apt install bubblewrap"]),
        ({"userns_blocked": True}, [RESTRICTED], ["/etc/apparmor.d/bwrap", "userns,"]),
        ({"group": False}, [SOFT], ["systemd-run --user --scope"]),
        ({}, [RESTRICTED], ["bubblewrap is installed but does not start"]),
        ({"bubblewrap": False, "group": False, "landlock": 0}, [], ["apt install", "no Landlock", "--unsafe"]),
        ({"landlock": 5}, [], ["no Landlock that would do", "Linux 6.12", "--unsafe"]),
    ],
)
def test_advice_names_what_to_do(changes: dict[str, bool], found: list[Tier], words: list[str]) -> None:
    machine = Machine(**{**GOOD.__dict__, **changes})
    text = "\n".join(advice(machine, [tier_result(tier) for tier in found]))
    assert [word for word in words if word not in text] == []
    assert bool(text) == bool(words)
