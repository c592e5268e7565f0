"""Run ruff on the answered code: with selected rules, no configuration, limits on time and memory, JSON output."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.parsing.limited import ParseLimits, run_command

if TYPE_CHECKING:
    from collections.abc import Mapping

# Rules that find defects. Style, unused imports (only a part of the notebook is linted), star imports and type hints
# are left to the student.
SELECT = (
    "F",
    "E711",
    "E712",
    "E713",
    "E714",
    "E721",
    "E722",
    "B002",
    "B003",
    "B005",
    "B006",
    "B012",
    "B014",
    "B015",
    "B016",
    "B018",
    "B020",
    "B021",
    "B022",
    "B025",
    "B029",
    "B030",
    "B031",
    "B032",
    "B033",
    "B035",
)
IGNORE = ("F401", "F403", "F405", "F811", "F722")
# Names that the notebook or the worker provides.
BUILTINS = ("display", "get_ipython", "grader")
LIMITS = ParseLimits(wall_s=60.0, cpu_s=30.0, memory_bytes=4 << 30, reply_bytes=16 << 20)


class LintError(RuntimeError):
    """Ruff is missing or did not work, which is a grader error."""


def lint(units: Mapping[str, str]) -> list[dict[str, Any]]:
    """Lint the units as one module, in the given order. Returns findings [{"where", "rule", "line"}].

    units: sources by name, "helpers" first. Lines are counted from the first line of the unit. Comments such as
    `# noqa` have no effect.

    Raises:
        LintError, LimitedError: ruff gave no answer.
    """
    text = ""
    starts: list[tuple[int, str]] = []
    for where, source in units.items():
        starts.append((text.count("\n") + 1, where))
        text += source.rstrip("\n") + "\n\n\n"
    status, out = run_command(_command(), text.encode(), LIMITS)
    try:
        found = json.loads(out)
    except ValueError:
        raise LintError(f"ruff ended with status {status} and no JSON") from None
    findings = []
    for item in found:
        row = item["location"]["row"]
        first, where = max(start for start in starts if start[0] <= row)
        findings.append({"where": where, "rule": item["code"] or "syntax", "line": row - first + 1})
    return findings


def _command() -> list[str]:
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.is_file() else shutil.which("ruff")
    if ruff is None:
        raise LintError("ruff is not installed; install the environment of the lock file")
    return [
        ruff,
        "check",
        "--isolated",
        "--no-cache",
        "--quiet",
        "--exit-zero",
        "--ignore-noqa",
        "--output-format=json",
        "--target-version=py311",
        f"--select={','.join(SELECT)}",
        f"--ignore={','.join(IGNORE)}",
        "--config",
        f"builtins = {json.dumps(BUILTINS)}",
        "--stdin-filename=answers.py",
        "-",
    ]
