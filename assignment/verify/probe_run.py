"""Starts probe.py on a release and judges what it says about the public checks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.release.notebook import definitions
from assignment.verify.run import kernel_environment
from assignment.verify.static import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from assignment.release.release import Release

PROBE = Path(__file__).with_name("probe.py")


def probe_checks(release: Release, folder: Path, progress: Callable[[str], None]) -> str:
    """Run every public check on solved, blank and all-but-one-solved definitions in `folder`.

    Raises:
        Refused: a check fails on the solution, passes on the blank notebook, or does not meet the
            slot's own NotImplementedError when that slot alone is blank.
    """
    slots = [slot.id for slot in release.spec.slots]
    request = {
        "slots": slots,
        "solved": definitions(release.cells, release.spec),
        "blank": definitions(release.cells, release.spec, frozenset(slots)),
        "one_blank": {slot: definitions(release.cells, release.spec, frozenset([slot])) for slot in slots},
    }
    with tempfile.TemporaryDirectory(prefix="rlhf-probe-") as scratch:
        reply = _run(request, folder, Path(scratch), progress)
    problems = [problem for slot in slots for problem in judge(slot, reply[slot])]
    if problems:
        raise Refused(problems)
    return f"{len(slots)} checks pass on the solution, fail on the blank with the slot's own error"


def _run(request: dict, folder: Path, scratch: Path, progress: Callable[[str], None]) -> dict:
    asked, told = scratch / "request.json", scratch / "reply.json"
    asked.write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-I", str(PROBE), str(folder), str(asked), str(told)]
    with open(scratch / "stderr", "w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder,
            env=kernel_environment(folder),
        )  # fmt: skip
        for line in process.stdout or ():
            progress(f"public check {line.strip()[:40]}")
        if process.wait() or not told.is_file():
            errors.seek(0)
            raise Refused([f"the definitions do not run: {errors.read().strip()[-800:]}"])
    return json.loads(told.read_text(encoding="utf-8"))


def judge(slot: str, reply: dict[str, Sequence[str | None]]) -> list[str]:
    """What is wrong with one slot's public check, given its errors per kind of definitions."""
    problems = []
    if not reply["solved"]:
        problems.append(f"{slot}: its public check has no test case")
    for error in filter(None, reply["solved"]):
        problems.append(f"{slot}: its public check fails on the solution: {error[:300]}")
    if not any(reply["blank"]):
        problems.append(f"{slot}: its public check passes on the blank notebook")
    own = f"NotImplementedError: {slot}: "
    if not any(own in error for error in reply["one_blank"] if error):
        seen = "; ".join(error[:120] for error in reply["one_blank"] if error) or "no error"
        problems.append(f"{slot}: left blank, its public check does not meet its NotImplementedError: {seen}")
    return problems
