"""`make bench`: time the commands, in seconds and in units of the bare training that a grade contains.

Seconds depend on the machine, ratios hardly do. The unit is `python -m benchmarks.bare`: one process that does the
training of a full grade and nothing else. Every round runs all commands in turn with the same seed, so that they meet
the same load of the machine; another round has another seed. Medians of the rounds are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm.auto import tqdm

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ("reference", "typical", "blank")
FIRST_SEED = 301
BARE, GRADE = "bare training", "grade reference"
NEEDED = (BARE, GRADE)  # the commands that the last lines compare


def run(*arguments: str) -> tuple[float, str]:
    """Run `python -m arguments`. Returns its seconds and output; if it fails, exits with its output."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - start, done.stdout


def commands(seed: int, folder: Path) -> dict[str, list[str]]:
    """Return the commands of a round by name."""
    grades = {
        f"grade {name}": [
            "autograder.cli", "grade", f"tests/submissions/{name}.ipynb",
            "--device", "cpu", "--seed", str(seed), "--out", str(folder / f"{name}-{seed}"),
        ]
        for name in SAMPLES
    }  # fmt: skip
    return {
        BARE: ["benchmarks.bare", "--seed", str(seed)],
        **grades,
        "build --check": ["autograder.cli", "build", "--check"],
        "verify --static": ["autograder.cli", "verify", "--static"],
    }


def main() -> None:
    """Time the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the first round (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help=f"only {' and '.join(NEEDED)}")
    args = parser.parse_args()
    took: dict[str, list[float]] = {}
    trained: list[dict[str, float]] = []
    scores: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        rounds = [commands(args.first_seed + i, Path(folder)) for i in range(args.rounds)]
        if args.short:
            rounds = [{name: one[name] for name in NEEDED} for one in rounds]
        with tqdm(total=sum(map(len, rounds)), unit="run", disable=not sys.stderr.isatty()) as bar:
            for name, arguments in (pair for one in rounds for pair in one.items()):
                bar.set_description(name)
                seconds, output = run(*arguments)
                took.setdefault(name, []).append(seconds)
                if name == BARE:
                    trained.append(json.loads(output.splitlines()[-1]))
                bar.update()
        for path in sorted(Path(folder).glob("reference-*/report.json")):
            report = json.loads(path.read_text(encoding="utf-8"))
            verdict = "passed" if report["passed"] else "not passed"
            seed = report["grader"]["seed"]
            scores.append(f"seed {seed}: {report['score']:g}, {report['pending']:g} pending, {verdict}")
    print_table(took, trained)
    print("reference: " + " · ".join(scores))


def print_table(took: dict[str, list[float]], trained: list[dict[str, float]]) -> None:
    """Print medians, extremes and ratios, then how much longer a grade takes than its training."""
    bare = statistics.median(took[BARE])
    print(f"{'':24} {'median':>9} {'min':>9} {'max':>9} {'ratio':>7}")
    for name, values in took.items():
        middle = statistics.median(values)
        print(f"{name:24} {middle:7.1f} s {min(values):7.1f} s {max(values):7.1f} s {middle / bare:7.2f}")
    loops = {op: statistics.median(one[op] for one in trained) for op in trained[0]}
    print("inside bare training: " + ", ".join(f"{op} {seconds:.1f} s" for op, seconds in loops.items()))
    more = [full - alone for full, alone in zip(took[GRADE], took[BARE], strict=True)]
    inner = [full - sum(one.values()) for full, one in zip(took[GRADE], trained, strict=True)]
    print(
        f"a full grade of the reference takes {statistics.median(more):.1f} s more than the bare training as a "
        f"process, {statistics.median(inner):.1f} s more than the seconds inside its stages"
    )


if __name__ == "__main__":
    main()
