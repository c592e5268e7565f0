"""What the reference needs for each item: seconds, memory and bytes of answer, measured in the sandbox.

Grades the reference sample through the real path and prints the table [limits.reference] of
assignment/registry/assignment.toml, to be pasted there. --only measures some items. Run it on a quiet machine: what is
written there, times [limits.factor], is what every submission may use. About three minutes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assignment.registry import load_spec
from autograder import sandbox
from autograder.core.options import Options
from autograder.core.progress import GradingProgress
from autograder.grading.run import grade_submission
from autograder.sandbox import Reply

SAMPLE = Path(__file__).parents[1] / "tests" / "submissions" / "reference.ipynb"
SEED = 20261
Took = dict[str, Reply]


class Recorder(sandbox.WorkerSession):
    """A session that remembers, per item, the reply that took longest, and what its libraries use."""

    took: Took = {}
    own_bytes = 0

    def call(self, op: str, payload: Mapping[str, Any], *args: Any, **options: Any) -> Reply:
        """The same call."""
        reply = super().call(op, payload, *args, **options)
        Recorder.own_bytes = int(self.info.get("rss", 0))
        name = str(payload.get("slot", op))
        if name not in self.took or reply.wall_s > self.took[name].wall_s:
            self.took[name] = reply
        return reply


def row(item: str, reply: Reply) -> str:
    """A line of the table: seconds rounded up to hundredths, bytes to mebibytes and kibibytes."""
    memory = max(1, math.ceil((reply.peak_bytes - Recorder.own_bytes) / 2**20)) << 20
    answer = max(1, math.ceil(reply.reply_bytes / 2**10)) << 10
    wall, cpu = (max(0.01, math.ceil(value * 100) / 100) for value in (reply.wall_s, reply.cpu_s))
    return f"{item} = {{wall_s = {wall:g}, cpu_s = {cpu:g}, memory_bytes = {memory}, reply_bytes = {answer}}}"


def main() -> None:
    """Grade, and print the table."""
    from autograder.training.run import STAGES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="items with commas between: T07,rm_accuracy (default: all)")
    args = parser.parse_args()
    spec = load_spec()
    sandbox.WorkerSession = Recorder  # type: ignore[misc]
    only = tuple(filter(None, args.only.split(",")))
    with GradingProgress() as progress:
        grade_submission(SAMPLE, None, Options(device="cpu", seed=SEED, only=only), progress)
    stage_of = {item: stage.op for stage in STAGES for item in stage.items}
    print("[limits.reference]")
    for item in spec.items:
        found = Recorder.took.get(stage_of.get(item, item))
        if found is not None:
            print(row(item, found))


if __name__ == "__main__":
    main()
