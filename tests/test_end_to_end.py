"""The samples through the real command, sandbox and training included: what `make demo` shows, asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assignment.registry import load_spec
from tests.support.processes import environment

SEED = "20261"


def graded(root: Path, sample: str, out: Path) -> dict[str, Any]:
    """Grade a sample with the console command in its own process, and return report.json."""
    done = subprocess.run(
        [sys.executable, "-m", "autograder.cli", "grade", f"tests/submissions/{sample}.ipynb",
         "--out", str(out), "--seed", SEED, "--device", "cpu"],
        cwd=root, capture_output=True, text=True, env=environment(root),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert {p.name for p in out.iterdir()} >= {"report.json", "report.html", "feedback.html", "results.json"}
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def items(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the report's items by id."""
    return {item["id"]: item for criterion in report["criteria"] for item in criterion["items"]}


@pytest.mark.slow
def test_the_reference_scores_ninety_five_with_five_pending(root: Path, tmp_path: Path) -> None:
    report = graded(root, "reference", tmp_path)
    lost = {k: v for k, v in items(report).items() if v["status"] not in ("passed", "needs_review")}
    assert not lost
    assert (report["score"], report["pending"], report["passed"]) == (95, 5, True)
    assert all(criterion["met"] for criterion in report["success_criteria"])
    thresholds = load_spec().thresholds("tiny")
    taken_up = items(report)["ppo_reward"]["evidence"]["style"]
    assert taken_up > thresholds.ppo_reward.style_min + thresholds.ppo_reward.retry_margin  # nowhere near a second try


@pytest.mark.slow
def test_the_typical_submission_loses_exactly_its_mistakes_each_named_once(root: Path, tmp_path: Path) -> None:
    found = items(graded(root, "typical", tmp_path))
    slots = {slot.id for slot in load_spec().slots}
    lost = {k for k, v in found.items() if k in slots and v["status"] != "passed"}
    untouched = {k for k in lost if found[k]["status"] == "not_attempted"}
    assert (len(lost), len(untouched)) == (4, 1)
    assert all(found[k]["misconception"] for k in lost - untouched)
    assert all(v["status"] == "passed" for k, v in found.items() if k.startswith(("sft_", "rm_", "ppo_", "comp")))


def test_a_blank_submission_scores_nothing(root: Path, tmp_path: Path) -> None:
    report = graded(root, "blank", tmp_path)
    assert (report["score"], report["pending"], report["passed"]) == (0, 0, False)
    assert {v["status"] for k, v in items(report).items() if k.startswith("T")} == {"not_attempted"}
