"""Run the public checks of a release in another process, and find out what is wrong with them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assignment.release.notebook import definitions
from assignment.verify.execution import kernel_environment
from assignment.verify.static import FailedCheckError

if TYPE_CHECKING:
    from collections.abc import Callable

    from assignment.release.release import Release

# Kind of definitions (solved, blank, one_blank) -> an entry per test case: None, or the error that failed it.
Errors = dict[str, list[str | None]]
RUNNER = Path(__file__).with_name("check_runner.py")


def run_public_checks(release: Release, folder: Path, progress: Callable[[str], None]) -> str:
    """Run every public check three times: on solved definitions, on blank ones, and with its own slot alone blank.

    folder: the unpacked release. Returns a summary.

    Raises:
        FailedCheckError: a check fails on the solution, passes on the blank notebook, or does not raise the
            slot's own NotImplementedError when that slot alone is blank.
    """
    slots = [slot.id for slot in release.spec.slots]
    request = {
        "slots": slots,
        "solved": definitions(release.cells, release.spec),
        "blank": definitions(release.cells, release.spec, frozenset(slots)),
        "one_blank": {slot: definitions(release.cells, release.spec, frozenset([slot])) for slot in slots},
    }
    with tempfile.TemporaryDirectory(prefix="rlhf-checks-") as scratch:
        reply = _run(request, folder, Path(scratch), progress)
    problems = [problem for slot in slots for problem in problems_of(slot, reply[slot])]
    if problems:
        raise FailedCheckError(problems)
    return f"{len(slots)} checks pass on the solution, fail on the blank with the slot's own error"


def _run(request: dict[str, Any], folder: Path, scratch: Path, progress: Callable[[str], None]) -> dict[str, Errors]:
    """Run the script on one request, with files in `scratch`, and return its reply."""
    request_file, reply_file = scratch / "request.json", scratch / "reply.json"
    request_file.write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-I", str(RUNNER), str(folder), str(request_file), str(reply_file)]
    with open(scratch / "stderr", "w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder,
            env=kernel_environment(folder),
        )  # fmt: skip
        for line in process.stdout or ():
            progress(f"public check {line.strip()[:40]}")
        if process.wait() or not reply_file.is_file():
            errors.seek(0)
            raise FailedCheckError([f"the definitions do not run: {errors.read().strip()[-800:]}"])
    reply: dict[str, Errors] = json.loads(reply_file.read_text(encoding="utf-8"))
    return reply


def problems_of(slot: str, errors: Errors) -> list[str]:
    """Say what is wrong with one slot's public check."""
    problems = [] if errors["solved"] else [f"{slot}: its public check has no test case"]
    failures = filter(None, errors["solved"])
    problems += [f"{slot}: its public check fails on the solution: {error[:300]}" for error in failures]
    if not any(errors["blank"]):
        problems.append(f"{slot}: its public check passes on the blank notebook")
    own = f"NotImplementedError: {slot}: "
    if not any(own in error for error in errors["one_blank"] if error):
        seen = "; ".join(error[:120] for error in errors["one_blank"] if error) or "no error"
        problems.append(f"{slot}: left blank, its public check does not raise its NotImplementedError: {seen}")
    return problems
