"""`make bench`: how long the commands take, in seconds and in units of the bare training that a grade contains.

Seconds depend on the machine, ratios hardly do. The unit is the training of one full grade and nothing else:
the loops of SFT, Good reward model and PPO on the grader's data, with the reference slots, in this process.
Bare training and full grade alternate, `--rounds` times each, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

import rlhf_kit as kit
from assignment.lab.experiment import reference_slots
from assignment.spec import load_spec
from autograder.inside.registry import OPS, load_ops
from autograder.reference import load_reference
from autograder.training.run import STAGES
from autograder.training.stage import Lab

ROOT = Path(__file__).resolve().parent.parent
SUBMISSIONS = ROOT / "tests" / "submissions"
SEED = 20261


def bare_training() -> Callable[[], None]:
    """The training runs of a grade with this seed, their data already drawn and their weights at hand."""
    load_ops()
    lab = Lab(load_reference(), load_spec(), kit.get_profile())
    jobs: list[tuple[str, dict[str, Any], dict[str, torch.Tensor]]] = []
    for stage in STAGES:
        if stage.steps(lab) is not None:
            request = stage.request(lab, SEED, stage.draw(lab, SEED))
            tensors = {name: torch.from_numpy(values) for name, values in request.tensors.items()}
            jobs.append((stage.op, dict(request.payload), tensors))

    def call() -> None:
        for op, payload, tensors in jobs:
            OPS[op](reference_slots(), payload, tensors, lambda record: None)  # type: ignore[arg-type]

    return call


def command(*arguments: str) -> Callable[[], None]:
    """The console script with these arguments; its output is shown only if it fails."""

    def call() -> None:
        done = subprocess.run(
            [sys.executable, "-m", "autograder.cli", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"rlhf-lab {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    return call


def seconds(task: Callable[[], None]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def grading(sample: str, folder: Path) -> Callable[[], None]:
    """A full grade of a committed sample."""
    path = SUBMISSIONS / f"{sample}.ipynb"
    return command("grade", str(path), "--seed", str(SEED), "--out", str(folder / sample))


def main() -> None:
    """Time everything and print a table: medians, and ratios to the bare training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: %(default)s)")
    parser.add_argument("--verify", action="store_true", help="time the whole of verify too, once")
    args = parser.parse_args()
    torch.set_num_threads(load_spec().threads)
    with tempfile.TemporaryDirectory() as folder:
        unit = "bare training of one grade"
        tasks = {
            unit: bare_training(),
            "grade reference": grading("reference", Path(folder)),
            "grade typical": grading("typical", Path(folder)),
            "grade blank": grading("blank", Path(folder)),
            "build --check": command("build", "--check"),
            "verify --static": command("verify", "--static"),
        }
        rounds = [name for _ in range(args.rounds) for name in tasks]
        if args.verify:
            tasks["verify"] = command("verify")
            rounds.append("verify")
        took: dict[str, list[float]] = {name: [] for name in tasks}
        for name in tqdm(rounds, unit="run", disable=not sys.stderr.isatty()):
            took[name].append(seconds(tasks[name]))
    bare = statistics.median(took[unit])
    print(f"{'':32} {'median':>9} {'min':>9} {'max':>9} {'ratio':>7}")
    for name, values in took.items():
        middle = statistics.median(values)
        print(f"{name:32} {middle:7.1f} s {min(values):7.1f} s {max(values):7.1f} s {middle / bare:7.2f}")
    more = [full - own for full, own in zip(took["grade reference"], took[unit], strict=True)]
    print(f"a full grade of the reference takes {statistics.median(more):.1f} s more than the training in it")


if __name__ == "__main__":
    main()
