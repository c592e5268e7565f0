"""Make one damaged submission from its seed and number, and read it with the real intake or grade it."""

from __future__ import annotations

import random
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from assignment.registry import load_spec
from autograder.parsing.limited import ParseLimits
from autograder.submission import extraction
from autograder.submission.extraction import extract
from autograder.submission.intake import IntakeError, read_submission
from tests.fuzz.mutations import MUTATIONS
from tests.support.processes import environment

ROOT = Path(__file__).parents[2]
GRADED_EVERY = 49  # one in so many cases is graded; coprime to the number of kinds, so that each kind is
ITEM = "T08"
# Intake, extraction, its suspect cells one by one, and extraction of the rest may each use their whole time limit.
SECONDS = 3 * ParseLimits().wall_s + extraction.SUSPECTS * extraction.ONE_CELL.wall_s
GRADE_SECONDS = SECONDS + 240
OWN_BYTES = 1 << 30  # of the process that reads submissions
# Of every process that it starts: readers are killed at this limit, and the whole command must stay below it too.
CHILD_BYTES = ParseLimits().memory_bytes
OWN, STARTED = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
SENTENCES = re.compile(r"[^\n]{10,700}[.]\Z")
BAD_WORDS = ("Traceback", "Error:", "Exception", "  File ")


@dataclass(frozen=True)
class Outcome:
    """How a case ended. fault: why its end is not clear; "" if it is."""

    number: int
    kind: str
    status: str
    seconds: float
    fault: str = ""


def made(seed: int, number: int) -> tuple[str, bytes]:
    """The kind and the bytes of a case. The same seed and number give the same case."""
    kind = list(MUTATIONS)[number % len(MUTATIONS)]
    return kind, MUTATIONS[kind](random.Random(f"{seed} {number}"))


def is_graded(number: int) -> bool:
    """Whether this case goes through the whole command."""
    return number % GRADED_EVERY == GRADED_EVERY - 1


def file_name(seed: int, number: int, raw: bytes) -> str:
    """The name of the submitted file: archives end in .zip, everything else in .ipynb."""
    return f"{seed}-{number}{'.zip' if raw.startswith(b'PK') else '.ipynb'}"


def run_case(seed: int, number: int, folder: Path) -> Outcome:
    """Write the case's file into `folder`, and read it or grade it. The file is removed if the case is clear."""
    kind, raw = made(seed, number)
    path = folder / file_name(seed, number, raw)
    path.write_bytes(raw)
    began, here, child, graded = time.monotonic(), _largest(OWN), _largest(STARTED), is_graded(number)
    try:
        status, fault = _graded(path, folder / f"out-{number}") if graded else read_only(path)
    except Exception as error:  # noqa: BLE001 - intake may raise nothing but IntakeError
        status, fault = "raised", f"{type(error).__name__}: {error}"[:300]
    seconds = time.monotonic() - began
    if seconds > (GRADE_SECONDS if graded else SECONDS):
        fault = fault or f"took {seconds:.0f} s"
    if _largest(OWN) > max(OWN_BYTES, here):  # the process may have been larger before this case
        fault = fault or "the reading process exceeded its memory limit"
    if _largest(STARTED) > max(CHILD_BYTES, child):
        fault = fault or "a process that it started exceeded its memory limit"
    if not fault:
        path.unlink()
    return Outcome(number, kind, status, seconds, fault)


def _largest(whose: int) -> int:
    """The peak memory in bytes: of this process (OWN), or of the largest process below it that has ended (STARTED)."""
    return resource.getrusage(whose).ru_maxrss * 1024


def unclear(message: str) -> str:
    """Why a message is not one or two plain sentences; "" if it is."""
    if not SENTENCES.match(message) or not message.isprintable():
        return f"no plain sentence: {message[:200]!r}"
    if any(word in message for word in BAD_WORDS):
        return f"has internals of the grader: {message[:200]!r}"
    return ""


def read_only(path: Path) -> tuple[str, str]:
    """Read and extract the file. Returns the status and the fault, or ""."""
    spec = load_spec()
    try:
        answers = extract(read_submission(path, spec), spec)
    except IntakeError as error:
        return "refused", unclear(str(error))
    if list(answers.slots) != [slot.id for slot in spec.slots]:
        return "read", "not every slot has an answer"
    silent = [a.slot for a in answers.slots.values() if a.state in ("missing", "broken") and not a.problem]
    return "read", f"no reason is given for {', '.join(silent)}" if silent else ""


def _graded(path: Path, out: Path) -> tuple[str, str]:
    """Grade the file with the real command. Returns the status and the fault, or ""."""
    command = [sys.executable, "-m", "autograder.cli", "grade", str(path), "--only", ITEM, "--out", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=GRADE_SECONDS,
        env=environment(),
    )  # fmt: skip
    shown = done.stdout + done.stderr
    if "Traceback" in shown:
        return f"exit {done.returncode}", "a traceback was printed"
    if done.returncode == 2:
        message = " ".join(done.stderr.split()).removeprefix("Not graded. ")
        return "graded: refused", unclear(message) or ("a report was written" if out.exists() else "")
    whole = done.returncode == 0 and (out / "report.json").is_file()
    return f"graded: exit {done.returncode}", "" if whole else f"exit {done.returncode}: {done.stderr[-300:]}"
