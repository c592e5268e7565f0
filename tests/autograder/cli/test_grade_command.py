"""The console script: the options that it accepts, what it prints, and its exit codes."""

from __future__ import annotations

import contextlib

import pytest
from typer.testing import CliRunner

from assignment.registry import load_spec
from assignment.release.release import build
from autograder import cli, doctor, report, sandbox
from autograder.doctor import ProbeResult, TierResult, findings
from autograder.doctor.findings import Finding
from autograder.grading import run as grading
from autograder.reference import models
from autograder.sandbox import Tier


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebooks") / "blank.ipynb"
    path.write_bytes(build().generated["rlhf.ipynb"])
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def test_every_command_of_the_contract_is_listed_with_a_whole_sentence_in_80_columns():
    lines = CliRunner().invoke(cli.app, ["--help"], terminal_width=80).output.splitlines()
    listed = {line.split()[0]: line for line in lines[lines.index("Commands:") + 1 :]}
    assert {"grade", "build", "verify", "doctor", "new-slot", "calibrate"} <= set(listed)
    assert all(line.endswith(".") and not line.endswith("...") and len(line) <= 80 for line in listed.values())


def test_a_graded_submission_ends_with_0_and_says_where_the_reports_are(blank, tmp_path):
    result = invoke("grade", blank, "--out", tmp_path / "out", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "0 / 100" in result.output
    assert "report.html" in result.output
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize("name", ["missing.ipynb", "text.ipynb", "folder"])
def test_what_cannot_be_read_as_a_submission_ends_with_2_and_no_traceback(name, tmp_path):
    (tmp_path / "text.ipynb").write_text("hello")
    (tmp_path / "folder").mkdir()
    result = invoke("grade", tmp_path / name, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.output.startswith("Not graded. ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_the_gpt2_profile_is_refused_plainly(blank, tmp_path):
    result = invoke("grade", blank, "--profile", "gpt2", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "tiny only, not gpt2" in result.output


def test_an_unknown_item_is_named(blank, tmp_path):
    result = invoke("grade", blank, "--only", "T07, T16", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "No item called T16" in result.output


def test_a_grader_error_ends_with_3_and_still_writes_the_reports(blank, tmp_path, monkeypatch):
    monkeypatch.setattr(grading.Grading, "failed_here", property(lambda _: ("rm_accuracy",)))
    result = invoke("grade", blank, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "rm_accuracy" in result.output
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize("out", ["file", "file/reports"])
def test_a_file_in_place_of_the_folder_is_refused_before_grading(blank, tmp_path, monkeypatch, out):
    monkeypatch.setattr(grading, "read_submission", lambda *_: pytest.fail("the submission was read"))
    (tmp_path / "file").write_text("mine")
    result = invoke("grade", blank, "--out", tmp_path / out)
    assert result.exit_code == 3
    assert "file is a file: give --out a folder." in result.output
    assert (tmp_path / "file").read_text() == "mine"


def test_reports_that_cannot_be_written_end_with_3(blank, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write_partial", full)
    result = invoke("grade", blank, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "could not be written" in result.output
    assert "No space left on device." in result.output


ISOLATED = Tier(1, "bwrap-user", True)
HOLDS, FAILS = ProbeResult("holds"), ProbeResult("FAILS", "reachable 192.0.2.1")


@pytest.mark.parametrize(
    ("ok", "result", "code"),
    [
        (True, TierResult(ISOLATED, dict.fromkeys(("network", "GPU"), HOLDS)), 0),
        (False, TierResult(ISOLATED, dict.fromkeys(("network", "GPU"), HOLDS)), 1),
        (True, TierResult(ISOLATED, {"network": FAILS}), 1),
        (True, TierResult(ISOLATED, reason="uid map denied"), 1),
    ],
)
def test_doctor_ends_with_1_where_something_is_missing_or_no_tier_is_safe(monkeypatch, ok, result, code):
    monkeypatch.setattr(findings, "findings", lambda _: iter([Finding("sandbox", ok, "tier 2")]))
    probes = {probe.name: ProbeResult("none") for probe in doctor.PROBES} | dict(result.probes)
    full = result if result.reason else TierResult(result.tier, probes)
    monkeypatch.setattr(doctor, "probe_tiers", lambda **_: iter([full]))
    done = invoke("doctor")
    assert done.exit_code == code, done.output
    assert "sandbox" in done.output
    assert ("192.0.2.1" in done.output) == (FAILS in result.probes.values())
    assert ("uid map denied" in done.output) == bool(result.reason)


def test_doctor_turns_every_failure_into_a_finding(monkeypatch):
    def broken():
        raise RuntimeError("no artefacts")

    class Session(contextlib.AbstractContextManager):
        def prewarm(self):
            return {"absent": ["transformers"]}

        def __exit__(self, *error):
            """End nothing: nothing was started."""

    monkeypatch.setattr(sandbox, "choose_tier", lambda: ISOLATED)
    monkeypatch.setattr(sandbox, "WorkerSession", Session)
    monkeypatch.setattr(models, "load_reference", broken)
    found = {finding.what: finding for finding in findings.findings(load_spec())}
    assert not found["reference weights"].ok
    assert "no artefacts" in found["reference weights"].detail
    assert not found["worker"].ok
    assert "the worker lacks transformers" in found["worker"].detail
    assert found["sandbox"].ok


def test_an_unexpected_error_ends_with_3_and_no_traceback(blank, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug of the grader")

    monkeypatch.setattr(grading, "grade_submission", broken)
    result = invoke("grade", blank, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "a bug of the grader" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--require-tier", 4), "1 (isolated)"), (("--require-tier", 1, "--unsafe"), "contradict each other")],
)
def test_an_impossible_tier_is_refused_plainly(blank, tmp_path, options, words):
    result = invoke("grade", blank, "--out", tmp_path / "out", *options)
    assert result.exit_code == 3
    assert words in result.output
