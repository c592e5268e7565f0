"""What grading costs before any training: a notebook with one answer, beside the least that any grader needs.

The floor is a sandboxed worker that imports PyTorch and steps one optimiser, with the process that starts it:
nothing is read, judged or written. The notebook is the released one with T08 answered and every item
graded, by the real command; it pays for intake, extraction, the check of the tier, the judge and the reports too.
Both alternate, --rounds times. Seconds of the clock and of the processors (of all processes together); the
ratio of medians must be at most 1.5. A busy machine stretches the clock but hardly the processors' seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm.auto import tqdm

from assignment.release.source import reference_source

ROOT = Path(__file__).resolve().parent.parent
BLANK = ROOT / "tests" / "submissions" / "blank.ipynb"
SLOT = "T08"
BAR = 1.5
FLOOR = """
import time
from autograder.sandbox.launch import start
from autograder.sandbox.link import Link
sandbox = start({backend!r}, device="cpu", memory_group={group}, inspect={{"optimiser": True}})
Link(sandbox).hello(time.monotonic() + 600)
sandbox.kill()
"""


def trivial(folder: Path) -> Path:
    """The released notebook with one slot answered by the reference's code."""
    notebook = json.loads(BLANK.read_text(encoding="utf-8"))
    source = f"# TODO {SLOT}\nimport torch\nfrom torch import Tensor\n{reference_source(SLOT)}"
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source, "id": "one"}
    notebook["cells"].append(cell)
    path = folder / "trivial.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def timed(command: list[str]) -> tuple[float, float]:
    """(seconds on the clock, seconds of all processors) of a command; its output is shown only if it fails."""
    search = os.pathsep.join([str(ROOT), str(ROOT / "student_template")])
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": search}
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{command[1:4]} failed:\n{log.read().decode(errors='replace')[-3000:]}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Time both and print a table; exit code 1 over the bar."""
    from autograder.sandbox import choose_tier

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    tier = choose_tier()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grade = ["-m", "autograder.cli", "grade", str(trivial(folder)), "--seed", "1", "--out", str(folder / "out")]
        commands = {
            "floor: one optimiser": ["-c", FLOOR.format(backend=tier.backend, group=tier.memory_group)],
            "trivial notebook": grade,
        }
        took: dict[str, list[tuple[float, float]]] = {what: [] for what in commands}
        rounds = [what for _ in range(args.rounds) for what in commands]
        for what in tqdm(rounds, unit="run", disable=None):
            took[what].append(timed([sys.executable, *commands[what]]))
    medians = {what: [statistics.median(column) for column in zip(*rows)] for what, rows in took.items()}
    print(f"{'tier ' + tier.name:28} {'clock':>9} {'processors':>11}")
    for what, (clock, processors) in medians.items():
        print(f"{what:28} {clock:7.2f} s {processors:9.2f} s")
    (floor, graded) = medians.values()
    ratios = [mine / least for mine, least in zip(graded, floor)]
    print(f"{'ratio':28} {ratios[0]:9.2f} {ratios[1]:11.2f}   (bar {BAR})")
    sys.exit(ratios[0] > BAR)


if __name__ == "__main__":
    main()
