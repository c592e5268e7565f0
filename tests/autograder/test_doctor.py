"""Doctor's probes against every sandbox of this machine, and its advice for machines that it pretends."""

from __future__ import annotations

import pytest

from autograder import doctor
from autograder.doctor import Column, Probe, Verdict
from autograder.doctor.advice import Machine, advice
from autograder.doctor.probe import LIMITS
from autograder.sandbox import UNSAFE, Tier, WorkerSession

ISOLATED, SOFT, RESTRICTED = Tier(1, "bwrap-root", True), Tier(2, "bwrap-root", False), Tier(3, "landlock", False)
GOOD = Machine(bubblewrap=True, userns_blocked=False, group=True, root=False, landlock=6)
# What a tier's own text says it does not bound in full.
IN_PART = {1: set(), 2: {"memory bomb"}, 3: {"memory bomb", "disk fill"}}
HEAVY = {"fork bomb", "memory bomb"}  # seconds each


def column(tier: Tier, **states: str) -> Column:
    return Column(tier, {probe.name: Verdict(states.get(probe.name, "holds")) for probe in doctor.PROBES})


@pytest.mark.parametrize(
    "probe",
    [pytest.param(p, marks=pytest.mark.slow) if p.name in HEAVY else p for p in doctor.PROBES if p.device == "cpu"],
    ids=lambda probe: probe.name,
)
def test_each_tier_holds_against_each_probe(probe: Probe, session: WorkerSession) -> None:
    verdict = probe.run(session)
    assert verdict.state in ("holds", *(["soft"] if probe.name in IN_PART[session.tier.number] else [])), verdict
    assert session.call("_echo", {"value": 1}, limits=LIMITS).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", ["network", "foreign file", "environment"])
def test_control_without_a_sandbox_the_same_probe_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLHF_LAB_CANARY", "secret")
    probe = next(one for one in doctor.PROBES if one.name == name)
    with WorkerSession(tier=UNSAFE) as session:
        assert probe.run(session).state == "FAILS"


@pytest.mark.gpu
def test_the_gpu_is_visible_and_usable_inside() -> None:
    with WorkerSession(device="cuda") as session:
        assert doctor.PROBES[-1].run(session) == Verdict("holds")


def test_a_tier_with_one_failed_probe_is_not_safe() -> None:
    assert doctor.is_safe(column(ISOLATED)) and doctor.is_safe(column(SOFT, **{"memory bomb": "soft"}))
    assert not doctor.is_safe(column(ISOLATED, network="FAILS"))
    assert not doctor.is_safe(Column(ISOLATED, reason="denied"))


def test_the_table_has_a_row_for_each_probe_and_a_column_for_each_tier() -> None:
    shown = doctor.table([column(ISOLATED), Column(RESTRICTED, reason="no Landlock")])
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
    ],
)
def test_advice_names_what_to_do(changes: dict[str, bool], found: list[Tier], words: list[str]) -> None:
    machine = Machine(**{**GOOD.__dict__, **changes})
    text = "\n".join(advice(machine, [column(tier) for tier in found]))
    assert [word for word in words if word not in text] == []
    assert bool(text) == bool(words)
