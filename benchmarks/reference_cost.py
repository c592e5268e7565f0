"""Measure what the reference needs for each item in the sandbox: seconds, memory and bytes of answer.

It grades the reference sample with the real command, and prints the table [limits.reference] to be pasted into
assignment/registry/assignment.toml. --only measures some items. Run it on a machine without other load, for about three
minutes: these numbers times [limits.factor] are what every submission may use.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from assignment.registry import load_spec
from autograder import sandbox
from autograder.core.options import Options
from autograder.core.progress import GradingProgress
from autograder.grading.run import grade_submission
from autograder.sandbox import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE = Path(__file__).parents[1] / "tests" / "submissions" / "reference.ipynb"
SEED = 20261
Took = dict[str, Reply]


class Recorder(sandbox.WorkerSession):
    """A session that records for each item the reply that took longest, and the memory of the libraries (bytes)."""

    took: ClassVar[Took] = {}
    library_bytes = 0

    def call(self, op: str, payload: Mapping[str, Any], *args: Any, **options: Any) -> Reply:
        """Make the call and record its reply."""
        reply = super().call(op, payload, *args, **options)
        Recorder.library_bytes = int(self.info.get("rss", 0))
        name = str(payload.get("slot", op))
        if name not in self.took or reply.wall_s > self.took[name].wall_s:
            self.took[name] = reply
        return reply


def row(item: str, reply: Reply) -> str:
    """Return a line of the table: seconds rounded up to hundredths, memory to MiB, answers to KiB."""
    memory = max(1, math.ceil((reply.peak_bytes - Recorder.library_bytes) / 2**20)) << 20
    answer = max(1, math.ceil(reply.reply_bytes / 2**10)) << 10
    wall, cpu = (max(0.01, math.ceil(value * 100) / 100) for value in (reply.wall_s, reply.cpu_s))
    return f"{item} = {{wall_s = {wall:g}, cpu_s = {cpu:g}, memory_bytes = {memory}, reply_bytes = {answer}}}"


def main() -> None:
    """Grade the reference and print the table."""
    from autograder.training.run import STAGES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="items, separated by commas: T07,rm_accuracy (default: all)")
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
