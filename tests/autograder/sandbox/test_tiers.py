"""The tier is chosen by trying, and the error on a machine without one says what to install."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from autograder import cli
from autograder.sandbox import UNSAFE, SandboxError, WorkerSession, choose_tier, environment, tiers
from autograder.sandbox.bwrap import options
from autograder.sandbox.environment import PythonHome, python_home, under
from autograder.sandbox.landlock import WorkerFolder, configuration
from autograder.sandbox.process import WorkerProgram
from autograder.sandbox.seccomp import build_filter
from autograder.sandbox.tiers import Tier, check_tier
from tests.autograder.conftest import LIMITS
from tests.support.sources import ROOT

ISOLATED, SOFT = Tier(1, "bwrap-root", True), Tier(2, "bwrap-root", False)
RESTRICTED = Tier(3, "landlock", False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[Tier, str]:
    """Simulate a machine by the result of check_tier for each candidate."""
    answers: dict[Tier, str] = {}
    monkeypatch.setattr(tiers, "candidates", lambda: tuple(answers))
    monkeypatch.setattr(tiers, "check_tier", answers.__getitem__)
    return answers


def test_best_working_tier_is_chosen_with_reasons_against_better_ones(machine: dict[Tier, str]) -> None:
    machine.update({ISOLATED: "no cgroup", SOFT: "uid map denied", RESTRICTED: ""})
    tier = choose_tier()
    assert (tier.number, str(tier)) == (3, "3 restricted")
    assert len(tier.notes) == 2
    assert "uid map denied" in tier.notes[1]


def test_tier_worse_than_required_is_refused_with_advice(machine: dict[Tier, str]) -> None:
    machine.update({ISOLATED: "no cgroup", SOFT: "", RESTRICTED: ""})
    assert choose_tier(2).number == 2
    with pytest.raises(SandboxError, match=r"apt install bubblewrap.*no cgroup"):
        choose_tier(1)


def test_error_without_any_tier_says_what_to_install(machine: dict[Tier, str]) -> None:
    with pytest.raises(SandboxError, match=r"apt install bubblewrap.*not installed"):
        choose_tier()


def test_unsafe_tier_is_chosen_only_if_allowed(machine: dict[Tier, str]) -> None:
    machine.update({RESTRICTED: "no Landlock"})
    tier = choose_tier(unsafe=True)
    assert (tier.number, tier.backend, tier.name) == (0, "plain", "0 UNSAFE")
    assert "no Landlock" in tier.notes[0]
    with pytest.raises(SandboxError):
        choose_tier()


def test_isolating_tier_is_preferred_to_the_unsafe_one(machine: dict[Tier, str]) -> None:
    machine.update({SOFT: "uid map denied", RESTRICTED: ""})
    assert choose_tier(unsafe=True).number == 3


@pytest.mark.parametrize(
    ("more", "code", "name"), [((), 3, "none: no sandbox"), (("--unsafe",), 0, "0 UNSAFE")], ids=["safe", "unsafe"]
)
def test_grading_without_a_tier_needs_unsafe_and_reports_say_so(
    machine: dict[Tier, str], tmp_path: Path, more: tuple[str, ...], code: int, name: str
) -> None:
    sample = str(ROOT / "tests/submissions/typical.ipynb")
    command = ["grade", sample, "--only", "T07", "--device", "cpu", "--out", str(tmp_path), *more]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == code, result.output
    grader = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["grader"]
    assert grader["sandbox_tier"].startswith(name)
    assert ("No isolation" in grader.get("sandbox_limits", "")) == (code == 0)
    assert name in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_session_refuses_tier_worse_than_required(machine: dict[Tier, str]) -> None:
    machine.update({RESTRICTED: ""})
    with pytest.raises(SandboxError):
        WorkerSession(tier=1)


def test_failed_start_is_returned_as_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.sandbox.bwrap.bwrap_path", lambda: "/bin/false")
    assert "bubblewrap does not start" in check_tier(Tier(1, "bwrap-user", False, ("fresh",)))


def test_check_names_everything_that_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"environment": ["HOME", "SECRET"], "network": True, "readable": ["/x"], "writable": ["/usr"]}
    monkeypatch.setattr(tiers, "start", lambda *place, **options: SimpleNamespace(kill=lambda: None))
    worker = SimpleNamespace(hello=lambda deadline: {**seen, "missing": ["torch"]})
    monkeypatch.setattr(tiers, "Link", lambda sandbox: worker)
    reason = check_tier(Tier(1, "bwrap-user", False, ("leaky",)))
    assert all(word in reason for word in ("network", "/x", "/usr", "SECRET", "torch"))
    assert "HOME" not in reason


def test_missing_kit_is_named(no_kit: None) -> None:
    with pytest.raises(SandboxError, match="rlhf_kit"):
        python_home()


def test_the_running_interpreter_and_its_links_are_mounted() -> None:
    home = python_home()
    real = Path(os.path.realpath(sys.executable))
    for path in (Path(sys.executable), real, Path(sys.prefix), Path(sys.base_prefix)):
        assert under(path, [Path("/usr"), *home.roots]), path


def test_the_grader_is_not_mounted() -> None:
    home = python_home()
    repository = Path(environment.__file__).parents[2]
    assert not under(repository, home.roots) or home.masked
    arguments = options(home, device="cpu", uid=1, seccomp_fd=3, info_fd=4, block_fd=5).split(b"\0")
    bound = {arguments[at + 2] for at, word in enumerate(arguments) if word.startswith((b"--ro-bind", b"--bind"))}
    assert os.fsencode(repository) not in bound or home.masked  # an empty folder above a .venv inside may be created


def _home(tmp_path: Path, roots: tuple[Path, ...], masked: tuple[Path, ...]) -> PythonHome:
    return PythonHome(sys.executable, roots, masked, (), tmp_path / "kit", tmp_path / "inside")


def test_a_grader_installed_beside_the_libraries_is_masked(tmp_path: Path) -> None:
    site = tmp_path / "venv/lib/site-packages"
    for name in ("torch", "autograder", "numpy"):
        (site / name).mkdir(parents=True)
    home = _home(tmp_path, (tmp_path / "venv",), (site / "autograder",))
    arguments = options(home, device="cpu", uid=1, seccomp_fd=3, info_fd=4, block_fd=5).split(b"\0")
    bound, masked = (arguments.index(os.fsencode(path)) for path in (tmp_path / "venv", site / "autograder"))
    assert bound < masked
    assert arguments[masked - 1] == b"--tmpfs"
    folder = WorkerFolder(tmp_path / "worker", tmp_path / "worker/lib", tmp_path / "worker/box")
    given = json.loads(configuration(home, folder, WorkerProgram([], []), device="cpu", uid=None))
    assert str(site / "torch") in given["read"]
    assert str(site) in given["listed"]
    assert not any(under(site / "autograder", [Path(path)]) for path in given["read"])


def test_read_only_remounts_come_last() -> None:
    text = options(python_home(), device="cpu", uid=None, seccomp_fd=3, info_fd=4, block_fd=5).decode()
    mounts = {word for word in text.split("\0") if word in ("--ro-bind", "--tmpfs", "--proc", "--dev")}
    assert mounts
    assert text.rindex("--remount-ro\0/\0") > max(text.rindex(word) for word in mounts)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_memory_is_bounded_per_process_except_with_a_gpu(device: str) -> None:
    session = WorkerSession.__new__(WorkerSession)
    session.device, session.seed = device, 0
    bounded = session._header(LIMITS)["address_space"]
    assert bounded == (device == "cpu")
    for tier in (SOFT, RESTRICTED, UNSAFE):  # the tiers in which no cgroup bounds the sum
        assert "GPU" in tier.limits.partition("Not covered")[0], tier


def test_unsupported_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        build_filter(machine="riscv64")


def test_a_worker_is_ready_for_every_operation(session: WorkerSession) -> None:
    info = session.prewarm()
    assert info["threads"] == 1, "a multi-threaded parent may hang its children"
    assert {"_echo", "_call"} <= set(info["ops"])
    assert not info["absent"]
    assert session.call("_echo", {"value": None}, limits=LIMITS).ok
