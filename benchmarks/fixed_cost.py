"""Time what grading costs before any training: a notebook with one answer, compared with the least any grader needs.

The least is a sandboxed worker that imports PyTorch and makes one optimiser step, and the process that starts it: it
reads, tests and writes nothing. The notebook is the released one with an answer to T08. The real command grades all its
items, with intake, extraction, the check of the tier, the slot test and the reports.
Both alternate, --rounds times. Printed are seconds of the clock and of the processors (of all processes together). The
ratio of the medians must be at most 1.5. Load on the machine stretches the clock but hardly the processors' seconds.
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
from typing import Any

from tqdm.auto import tqdm

from assignment.release.source import reference_source

ROOT = Path(__file__).resolve().parent.parent
BLANK = ROOT / "tests" / "submissions" / "blank.ipynb"
SLOT = "T08"
RATIO_MAX = 1.5
FLOOR = """
import time
from autograder.sandbox.launch import start
from autograder.sandbox.link import Link
sandbox = start({backend!r}, device="cpu", memory_group={group}, inspect={{"optimiser": True}})
Link(sandbox).hello(time.monotonic() + 600)
sandbox.kill()
"""


def trivial(folder: Path) -> Path:
    """Write the released notebook with the reference's answer to one slot."""
    notebook = json.loads(BLANK.read_text(encoding="utf-8"))
    source = f"# TODO {SLOT}\nimport torch\nfrom torch import Tensor\n{reference_source(SLOT)}"
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
        "id": "one",
    }
    notebook["cells"].append(cell)
    path = folder / "trivial.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command. Returns (seconds on the clock, seconds of all processors); its output is shown only if it
    fails."""
    search = os.pathsep.join([str(ROOT), str(ROOT / "student_template")])
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": search})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{command[1:4]} failed:\n{log.read().decode(errors='replace')[-3000:]}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Time both and print a table. Exits with 1 if the ratio is above RATIO_MAX."""
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
    medians = {what: [statistics.median(column) for column in zip(*rows, strict=True)] for what, rows in took.items()}
    print(f"{'tier ' + tier.name:28} {'clock':>9} {'processors':>11}")
    for what, (clock, processors) in medians.items():
        print(f"{what:28} {clock:7.2f} s {processors:9.2f} s")
    (floor, graded) = medians.values()
    ratios = [mine / least for mine, least in zip(graded, floor, strict=True)]
    print(f"{'ratio':28} {ratios[0]:9.2f} {ratios[1]:11.2f}   (at most {RATIO_MAX})")
    sys.exit(ratios[0] > RATIO_MAX)


if __name__ == "__main__":
    main()
