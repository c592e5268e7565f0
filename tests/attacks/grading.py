"""Run the real command once, and measure it from outside: its duration, the grader's memory, its reports."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.attacks.base import RunResult
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED = 20264  # of every run, so that an attack and its harmless version get the same hidden inputs
REPORTS = ("report.json", "report.html", "feedback.html", "results.json")
POLL_SECONDS = 0.05
KILLED = -9


def grade(path: Path, out: Path, only: tuple[str, ...], tier: int, environment: Mapping[str, str], wall_s: float) -> RunResult:
    """Grade `path` into `out` with `rlhf-lab grade`. A run that takes more than `wall_s` seconds is killed."""
    words = ["grade", str(path), "--out", str(out), "--seed", str(SEED), "--device", "cpu"]
    words += ["--only", ",".join(only)] if only else []
    words += ["--require-tier", "1"] if tier == 1 else []
    start = ["-m", "autograder.cli"] if tier == 1 else ["-m", "tests.attacks.at_tier", str(tier)]
    log = out.with_suffix(".log")
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *start, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=dict(environment), cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        try:
            rss = _watch(process, began + wall_s)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    texts = {name: (out / name).read_text(errors="replace") for name in REPORTS if (out / name).is_file()}
    report = json.loads(texts["report.json"]) if "report.json" in texts else {}
    return RunResult(process.returncode, time.monotonic() - began, rss, **_facts(report),
                texts={**texts, "terminal": log.read_text(errors="replace")})  # fmt: skip


def _watch(process: subprocess.Popen[bytes], deadline: float) -> int:
    """Wait for the end. Returns the peak resident memory of the grader without its children, in bytes."""
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+)", status):
                peak = max(peak, int(found[1]) << 10)
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(POLL_SECONDS)
    return peak


def _facts(report: Mapping[str, Any]) -> dict[str, Any]:
    items = [item for criterion in report.get("criteria", []) for item in criterion["items"]]
    return {
        "points": {item["id"]: item["points"] for item in items},
        "statuses": {item["id"]: item["status"] for item in items},
        "criteria": {one["id"]: one["met"] for one in report.get("success_criteria", [])},
    }
