"""Kill the grader at random moments and check what is left: `python -m tests.kills`.

A sample is graded with the real command: one slot, and two training tests of a few rows side by side. The command is
ended after a random part of its usual time, by kill -9 or with --interrupt by Ctrl-C. Then no process, cgroup,
temporary file or incomplete report may be left. After each kill the same command runs again, into the same folder, and
must give the report of an undisturbed run. kill -9 during writing can leave a hidden .partial file, which the next run
has to replace; Ctrl-C must leave none. Each kill takes about 40 seconds.

The last line is `killed 30/30 left nothing · graded again 30/30` if all went well; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from assignment.files import PARTIAL
from autograder.inside import system
from autograder.sandbox.cgroup import PREFIX, ROOT
from tests.support.leftovers import left_in
from tests.support.processes import environment

HERE = Path(__file__).parents[2]
SAMPLE = HERE / "tests" / "submissions" / "typical.ipynb"
ONLY = "T07,sft_loss_trend,rm_accuracy"
COMMAND = [sys.executable, "-m", "tests.kills.short", "grade", str(SAMPLE), "--only", ONLY, "--seed", "5"]
STARTED = b"reading the submission"
PATIENCE = 60.0  # seconds to wait until everything has ended


def start(out: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Start the command, with its reports in `out` and its temporary files in `temporary`."""
    env = environment(TMPDIR=str(temporary))
    return subprocess.Popen(
        [*COMMAND, "--out", str(out)], cwd=HERE, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def graded(out: Path, temporary: Path) -> tuple[dict[str, Any], float]:
    """Run the command to its end. Returns its report without durations, and the seconds that it took."""
    began = time.monotonic()
    process = start(out, temporary)
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"the sample is not graded: {errors.decode(errors='replace')[-2000:]}")
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return stable(report), time.monotonic() - began


def stable(report: dict[str, Any]) -> dict[str, Any]:
    """The report without durations: two runs with one seed have this in common."""
    report.pop("duration_s")
    for criterion in report["criteria"]:
        for item in criterion["items"]:
            item["evidence"].pop("wall_s", None)
    return report


def ended(number: int, moment: float, process: subprocess.Popen[bytes]) -> list[str]:
    """Send the signal after `moment` seconds and wait for the end. Returns faults of the end itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
    _, errors = process.communicate()
    # Python itself prints a traceback if it is interrupted while it imports the command; after that nothing may.
    if number == signal.SIGINT and STARTED in errors and b"Traceback" in errors:
        return [f"Ctrl-C after {moment:.2f} s printed a traceback: {errors.decode(errors='replace')[-1500:]}"]
    return []


def left_behind(pid: int, out: Path, temporary: Path) -> list[str]:
    """What an ended run has left: processes (this process becomes their parent, as a subreaper), groups, files."""
    deadline = time.monotonic() + PATIENCE
    while True:
        while reap_one():
            pass
        processes = system.descendants()
        groups = [str(path) for path in ROOT.glob(f"**/{PREFIX}{pid}-*")]
        if not (processes or groups) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    found = [f"process {one}: {Path(f'/proc/{one}/cmdline').read_bytes()[:200]!r}" for one in processes]
    found += [f"cgroup {path}" for path in groups]
    found += [f"temporary file {path}" for path in left_in(temporary)]
    for path in out.glob("*.json") if out.is_dir() else ():
        with contextlib.suppress(ValueError):
            json.loads(path.read_text())
            continue
        found.append(f"{path.name} is incomplete")
    return found


def partial_files(out: Path) -> list[str]:
    """Reports that a run began to write and neither finished nor removed."""
    return [f"partial file {path.name}" for path in sorted(out.glob(PARTIAL.format("*")))]


def reap_one() -> bool:
    """Collect one ended orphan. Returns False if there is none to collect."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def main() -> None:
    """Kill, check, grade again, and print the last line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=30, help="kills (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (default: %(default)s)")
    parser.add_argument("--interrupt", action="store_true", help="Ctrl-C instead of kill -9")
    args = parser.parse_args()
    number, rng = signal.SIGINT if args.interrupt else signal.SIGKILL, random.Random(args.seed)
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    clean = again = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        out, temporary = Path(folder, "out"), Path(folder, "tmp")
        temporary.mkdir()
        expected, usual = graded(out, temporary)
        for _ in tqdm(range(args.count), unit="kill", disable=None):
            process, moment = start(out, temporary), rng.uniform(0.0, usual)
            faults = ended(number, moment, process) + left_behind(process.pid, out, temporary)
            faults += partial_files(out) if args.interrupt else []
            for fault in faults:
                tqdm.write(f"after {moment:.2f} s: {fault}", file=sys.stderr)
            clean += not faults
            again += graded(out, temporary)[0] == expected and not partial_files(out)
    print(f"killed {clean}/{args.count} left nothing · graded again {again}/{args.count}")
    sys.exit(not clean == again == args.count)


if __name__ == "__main__":
    main()
