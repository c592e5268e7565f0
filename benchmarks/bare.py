"""Time the bare training that one full grade contains: python -m benchmarks.bare --seed 1

It runs the reference's slots on the grader's data, configs and starting weights in one ordinary process, one stage
after the other, on all cores, as a notebook would. There are no sandbox, slot tests, measurements or reports. Prints
one JSON line: seconds by stage, without drawing the data.
"""

from __future__ import annotations

import argparse
import json
import time

import torch

import rlhf_kit as kit
from assignment.lab.experiment import reference_slots
from assignment.registry import load_spec
from autograder.inside.operations import OPS, load_ops
from autograder.reference.models import load_reference
from autograder.training.run import STAGES
from autograder.training.stage import Lab, Stage


def train(lab: Lab, stage: Stage, seed: int) -> float:
    """Run a stage as the worker would. Returns its seconds, without drawing its data."""
    request = stage.request(lab, seed, stage.draw(lab, seed))
    tensors = {name: torch.from_numpy(values.copy()) for name, values in request.tensors.items()}
    start = time.perf_counter()
    OPS[stage.op](reference_slots(), dict(request.payload), tensors, lambda _: None)  # type: ignore[arg-type]
    return time.perf_counter() - start


def main() -> None:
    """Run every stage once and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the grade (default: %(default)s)")
    args = parser.parse_args()
    load_ops()
    lab = Lab(load_reference(), load_spec(), kit.get_profile())
    print(json.dumps({stage.op: round(train(lab, stage, args.seed), 2) for stage in STAGES}))


if __name__ == "__main__":
    main()
