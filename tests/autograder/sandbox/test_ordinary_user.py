"""doctor and grade run by an ordinary user: the user who runs the tests, or, if that is root, an unprivileged uid."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.inside.restrict import landlock_abi
from autograder.sandbox.environment import python_home
from autograder.sandbox.landlock import SIGNAL_SCOPE_ABI
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow
UID = 61999  # outside the range of the sandboxes' uids, and assigned to nobody
CLI = (sys.executable, "-m", "autograder.cli")


def closed_folders() -> dict[Path, list[Path]]:
    """Map each folder that only root may enter to the paths in it that the interpreter needs."""
    needed = {ROOT, *python_home().roots}
    return {
        folder: [path for path in needed if folder in path.parents]
        for path in needed for folder in path.parents if not folder.stat().st_mode & 0o001
    }  # fmt: skip


def script(keep: Path, command: tuple[str, ...]) -> str:
    """Write a script for a new mount namespace: open the closed folders (only there), drop root, run the command."""
    lines = ["set -e"]
    for number, (folder, paths) in enumerate(closed_folders().items()):
        kept = keep / str(number)
        kept.mkdir(parents=True, exist_ok=True)
        lines += [f"mount --bind {folder} {kept}", f"mount -t tmpfs -o mode=755 tmpfs {folder}"]
        for path in paths:
            lines += [f"mkdir -p {path}", f"mount --bind {kept / path.relative_to(folder)} {path}"]
    drop = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--")
    return "\n".join([*lines, f"exec {shlex.join((*drop, *command))}"])


def ran(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an ordinary user who owns only the folder `home`."""
    home = place / "home"
    home.mkdir(exist_ok=True)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "TMPDIR": str(home),
           "PYTHONPATH": f"{ROOT}:{ROOT / 'student_template'}", "PYTHONDONTWRITEBYTECODE": "1",
           "RLHF_LAB_CANARY": "secret"}  # fmt: skip
    if os.getuid() == 0:
        os.chown(home, UID, UID)
        command = ("unshare", "-m", "sh", "-c", script(place / "keep", command))
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def user() -> Iterator[Path]:
    """Yield a folder for `ran` that an ordinary user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        require_sandbox(Path(folder))
        yield Path(folder)


def require_sandbox(place: Path) -> None:
    """Skip if no ordinary user can run the grader, or if the kernel offers such a user no sandbox."""
    tried = ran(place, sys.executable, "-c", "import os, torch; assert os.getuid()")
    if tried.returncode:
        pytest.skip(f"no ordinary user can run the grader here: {tried.stderr.strip()[-200:]}")
    spaces = ran(place, "unshare", "-Urm", "true").returncode == 0
    if not spaces and landlock_abi() < SIGNAL_SCOPE_ABI:
        pytest.skip("neither user namespaces nor a Landlock that confines signals")


def test_doctor_finds_a_safe_tier_for_an_ordinary_user(user: Path) -> None:
    done = ran(user, *CLI, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_an_ordinary_user_grades_in_a_sandbox(user: Path) -> None:
    notebook = ROOT / "tests/submissions/typical.ipynb"
    done = ran(user, *CLI, "grade", str(notebook), "--seed", "5", "--only", "T06,T07", "--out", str(user / "home/out"))
    assert done.returncode == 0, done.stdout + done.stderr
    path = user / "home/out/report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_uid != 0
    assert report["grader"]["sandbox_tier"][0] in "123"
    found = {item["id"]: item["status"] for criterion in report["criteria"] for item in criterion["items"]}
    assert (found["T06"], found["T07"]) == ("wrong", "passed")  # what the sample's slots are, whoever grades
