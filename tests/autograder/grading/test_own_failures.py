"""Grader errors end with exit code 3, lose no points, leave no incomplete file, and do not affect the next run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assignment.registry import load_spec
from autograder import cli
from autograder.report import RECORD, REPORTS
from autograder.sandbox import Limits, Reply, SandboxError, WorkerSession, tiers
from autograder.sandbox.link import Link, LinkClosedError
from autograder.slots.runner import run_hidden_tests
from tests.autograder.conftest import LIMITS
from tests.support.intake_notebooks import IMPORTS, LOSS, notebook, write
from tests.support.processes import environment
from tests.support.slot_runs import submission

ROOT = Path(__file__).parents[3]
BLANK = ROOT / "tests" / "submissions" / "blank.ipynb"


def statuses(out: Path) -> dict[str, str]:
    """The statuses of the report in `out`, by item."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return {item["id"]: item["status"] for criterion in report["criteria"] for item in criterion["items"]}


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """A notebook with one slot, whose code would have to run."""
    return write(tmp_path / "x.ipynb", notebook([IMPORTS, LOSS]))


def grade_t07(path: Path, out: Path) -> Any:
    return CliRunner().invoke(cli.app, ["grade", str(path), "--only", "T07", "--out", str(out)])


def assert_grader_error(result: Any, out: Path) -> None:
    assert result.exit_code == 3, result.output
    assert "Traceback" not in result.output
    assert statuses(out) == {"T07": "not_gradable"}
    assert {path.name for path in out.iterdir()} == {*REPORTS, RECORD}


def test_a_refused_sandbox_takes_no_point(answered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "candidates", lambda: ())
    result = grade_t07(answered, tmp_path / "out")
    assert_grader_error(result, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "apt install bubblewrap" in report["grader"]["sandbox_tier"]


@pytest.mark.usefixtures("no_kit")
def test_a_missing_kit_takes_no_point(answered: Path, tmp_path: Path) -> None:
    tiers.check_tier.cache_clear()
    try:
        result = grade_t07(answered, tmp_path / "out")
    finally:
        tiers.check_tier.cache_clear()  # what was found without the kit does not hold for this machine
    assert_grader_error(result, tmp_path / "out")
    assert "rlhf_kit" in (tmp_path / "out" / "report.json").read_text()


def test_a_part_of_the_grader_that_cannot_be_imported_takes_no_point(
    answered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "autograder.slots.runner", None)
    assert_grader_error(grade_t07(answered, tmp_path / "out"), tmp_path / "out")


class LostGPU:
    """A session on a GPU that has stopped working: every call crashes, also the check of the GPU itself."""

    device = "cuda"

    def call(self, *_: Any, **__: Any) -> Reply:
        return Reply(False, "crashed", error="RuntimeError: CUDA error: device lost")


def test_a_lost_gpu_takes_no_point() -> None:
    results = run_hidden_tests(LostGPU(), submission(), load_spec(), 1, ["T07"])  # type: ignore[arg-type]
    assert results["T07"].status == "not_gradable"
    assert "GPU no longer answers" in results["T07"].evidence["reason"]


def test_a_worker_that_fails_before_student_code_runs_is_a_grader_error(
    best: WorkerSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> dict[str, Any]:
        raise LinkClosedError("the worker has ended")

    assert best.prewarm()
    with monkeypatch.context() as patch:
        patch.setattr(Link, "begin", gone)
        with pytest.raises(SandboxError, match="failed before the call"):
            best.call("_echo", {"value": 1}, limits=LIMITS)
    assert best.call("_echo", {"value": 1, "code": {}}, limits=Limits(**LIMITS.__dict__)).ok  # a fresh one answers


def graded_blank(out: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Grade the blank sample with the real command."""
    return subprocess.run(
        [sys.executable, "-m", "autograder.cli", "grade", str(BLANK), "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, env=environment(), **options,
    )  # fmt: skip


def test_a_report_that_cannot_be_written_in_full_is_not_written_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = 8192  # bytes that one file may have: the first report is larger
    done = graded_blank(out, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (small, small)))
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "could not be written" in done.stderr
    assert not out.exists() or list(out.iterdir()) == []
    assert graded_blank(out).returncode == 0


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_reports_as_they_were(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here (not root)")
    try:
        assert graded_blank(disk / "out").returncode == 0
        before = {path.name: path.read_bytes() for path in (disk / "out").iterdir()}
        (disk / "filler").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 8192))
        done = graded_blank(disk / "out")
        assert (done.returncode, "No space left" in done.stderr) == (3, True), done.stderr
        assert {path.name: path.read_bytes() for path in (disk / "out").iterdir()} == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--count", "2"], ["--count", "1", "--interrupt"]], ids=["kill -9", "Ctrl-C"])
def test_a_grader_that_ends_early_leaves_nothing_and_grades_again(options: list[str]) -> None:
    count = options[1]
    done = subprocess.run([sys.executable, "-m", "tests.kills", *options], cwd=ROOT, capture_output=True, text=True)
    last = done.stdout.strip().splitlines()[-1:]
    assert last == [f"killed {count}/{count} left nothing · graded again {count}/{count}"], done.stderr[-3000:]
