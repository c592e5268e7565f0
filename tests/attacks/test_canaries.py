"""The control of the attacks: what a successful attack would do is reported and cleaned up."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rlhf_kit as kit
from autograder.inside import system
from autograder.sandbox.cgroup import PREFIX
from tests.attacks import canaries as module
from tests.attacks.answers import FROM_TABLE, public_table
from tests.attacks.base import HEAD, TARGET, RunResult
from tests.attacks.canaries import HIDDEN_TEXT, Canaries, groups
from tests.attacks.checks import ended_as, found_nothing
from tests.support.sources import ROOT

QUIET = RunResult(0, 1.0, 1, texts={"report.json": "{}", "feedback.html": "", "terminal": ""})


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Canaries on a host whose control groups are a folder of the test."""
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LEAVE_SECONDS", 0.3)
    with Canaries() as canaries:
        yield canaries
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 0)


def complaints(host: Canaries, result: RunResult = QUIET) -> str:
    return "; ".join(host.complaints(set(), result))


def call(host: Canaries) -> None:
    socket.create_connection(("127.0.0.1", host.site.tcp), 1).close()


def call_locally(host: Canaries) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + host.site.abstract)


def leave_a_process(_: Canaries) -> None:
    """Its parent ends at once, so that this process becomes its parent."""
    start = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    subprocess.run([sys.executable, "-c", start], check=True)


def leave_a_group(_: Canaries) -> None:
    group = module.ROOT / f"{PREFIX}left"
    group.mkdir()
    (group / "cgroup.procs").touch()


WORKING = {
    "network was reached": call,
    "was reached: abstract": call_locally,
    "the canary home was changed": lambda host: Path(host.site.home).write_text("changed"),
    "the canary neighbour was changed": lambda host: Path(host.site.neighbour).unlink(),
    "the grader's tree": lambda host: Path(host.site.tree).write_text("changed, and longer than it was"),
    "files were left behind": lambda host: Path(f"/tmp/planted-{host.site.token}").touch(),
    "left behind: ['": lambda host: (host.folder / "tmp" / "sitecustomize.py").touch(),
    "processes were left behind": leave_a_process,
    "cgroups were left behind": leave_a_group,
}


@pytest.mark.parametrize("words", WORKING)
def test_what_an_attack_does_to_the_host_is_reported(host, words):
    assert complaints(host) == ""
    WORKING[words](host)
    deadline = time.monotonic() + 5  # a listener notes its caller in a thread of its own
    while words not in (found := complaints(host)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert words in found
    with contextlib.suppress(OSError):
        (module.ROOT / f"{PREFIX}left" / "cgroup.procs").unlink()
        (module.ROOT / f"{PREFIX}left").rmdir()
    assert complaints(host) == ""  # the canaries are restored for the next attack


def test_processes_from_before_the_suite_are_no_leftovers_and_are_not_ended(host):
    with subprocess.Popen(["sleep", "60"]) as before, Canaries() as later:
        assert complaints(later) == ""
        assert before.poll() is None
        assert "processes were left behind: ['sleep']" in complaints(host)  # it is younger than these canaries
        before.wait(10)  # it was ended: TimeoutExpired if not


def test_canaries_of_another_suite_are_no_change(host):
    with Canaries() as beside:
        assert complaints(host) == complaints(beside) == ""
    assert complaints(host) == ""


def test_a_new_file_among_the_libraries_is_reported(host, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "LIBRARIES", (tmp_path,))
    host.complaints(set(), QUIET)
    assert complaints(host) != ""  # other libraries than at the start
    (tmp_path / "planted.pth").touch()
    assert "libraries were changed" in complaints(host)


@pytest.mark.parametrize("what", ["home", "tree", "neighbour", "environment", "hidden tests"])
def test_a_secret_in_a_report_is_reported(host, what):
    secret = host.secrets.get(what, HIDDEN_TEXT)
    assert f"{what} could be read out" in complaints(host, RunResult(0, 1, 1, texts={"report.json": f"x{secret}y"}))


def test_text_of_the_attack_on_the_students_page_is_reported(host):
    assert "text of the attack" in complaints(host, RunResult(0, 1, 1, texts={"feedback.html": host.site.token}))
    assert complaints(host, RunResult(0, 1, 1, texts={"report.html": host.site.token})) == ""  # the TA may see them


def test_the_hidden_text_to_look_for_is_in_the_hidden_tests():
    assert HIDDEN_TEXT in (ROOT / "autograder" / "slots" / "hidden_tests" / "base.py").read_text(encoding="utf-8")


def test_groups_from_before_the_attack_are_no_leftovers(host):
    leave_a_group(host)
    assert "; ".join(host.complaints(groups(), QUIET)) == ""


def test_an_attack_that_found_something_differs_from_one_that_did_not_run(host):
    def report(text: str) -> RunResult:
        return RunResult(0, 1, 1, statuses={TARGET: "crashed"}, texts={"report.json": text})

    assert found_nothing("FILES")(report("LOOT ('FILES', [])"), host.site) == ""
    assert "found something" in found_nothing("FILES")(report("LOOT ('FILES', ['/etc/shadow'])"), host.site)
    assert "did not run" in found_nothing("FILES")(report("NameError"), host.site)
    assert "did not run" in ended_as("wrong")(report(""), host.site)


def test_a_table_of_the_public_checks_answers_passes_them():
    space: dict = {}
    exec(HEAD + public_table() + FROM_TABLE, space)
    assert kit.connect_grader(ROOT / "student_template" / "tests", space).check(TARGET).passed
