"""Build a lab world from its seed.

python -m assignment.lab base       pre-train the base model (20 minutes on one core)
python -m assignment.lab data       draw the students' data; needs the base model
python -m assignment.lab reference  train the grader's reference weights, record the run that students see first;
                                    draws the data again before
python -m assignment.lab world      all three: next year's class is `world --seed 2027`
python -m assignment.lab outcomes   run the whole pipeline on fresh seeds and append the figures (3 minutes a seed)
python -m assignment.lab claims     judge the notebook's claims on these figures; --write renews docs/world.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from assignment.files import ForeignFileError
from assignment.registry import SpecError
from rlhf_kit.data import DATA
from rlhf_kit.models import BASE_MODEL
from rlhf_kit.recorded import RECORDED

from .abilities import WeakBaseError
from .folders import REFERENCE, refuse_foreign
from .outcomes import KINDS, append_outcomes
from .pretrain import PretrainConfig, write_base
from .recorded import write_recorded
from .report import report, rows_file
from .ship import grader_reference, student_data
from .world import World
from .world_page import PageError, write_page

WORLD_SEED = 2026
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def main() -> None:
    """Parse the command line and run the step. A step replaces what an earlier run made, and nothing else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("base", "data", "reference", "world", "outcomes", "claims"))
    parser.add_argument("--seed", type=int, default=WORLD_SEED, help="the world's seed (default: %(default)s)")
    parser.add_argument("--base", type=Path, default=BASE_MODEL, help="folder of the base model")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="outcomes: the seeds to run")
    parser.add_argument("--out", type=Path, default=RESULTS, help="outcomes, claims: where the lines are")
    parser.add_argument(
        "--kinds", type=int, default=KINDS, help="outcomes: prompts of each kind (default: %(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="claims: write the tables into docs/world.md")
    parser.add_argument(
        "--threads", type=int, default=2, help="torch threads; results depend on it (default: %(default)s)"
    )
    parser.add_argument(
        "--tuning", action="store_true", help="claims: judge on the seeds for tuning, and write nothing"
    )
    args = parser.parse_args()
    try:
        if args.step == "claims":
            sys.exit(judge(args))
        run(args)
    except (ForeignFileError, SpecError, PageError, WeakBaseError) as error:
        parser.error(str(error))


def judge(args: argparse.Namespace) -> int:
    """Print the tables of the claims, and write them where asked. Returns 1 if a claim fails, and names it."""
    found = report(args.seed, args.out, tuning=args.tuning)
    print("\n\n".join(dict.fromkeys(found.tables.values())))
    if args.write and not args.tuning:
        write_page(found.tables)
    for line in [*found.failures, *([found.to_run] if found.seen and found.missing else [])]:
        print(line, file=sys.stderr)
    return int(bool(found.failures))


def run(args: argparse.Namespace) -> None:
    """Run one step. Raises ForeignFileError, before any work, if a folder holds files that no step made."""
    reference = [DATA, REFERENCE, RECORDED]
    written = {"base": [args.base], "data": [DATA], "reference": reference, "outcomes": []}
    refuse_foreign(*written.get(args.step, [args.base, *reference]))
    torch.set_num_threads(args.threads)
    world = World.from_seed(args.seed)
    if args.step in ("base", "world"):
        print(write_base(args.base, world, PretrainConfig()))
    if args.step == "outcomes":
        append_outcomes(world, args.seeds, args.base, rows_file(args.seed, args.out), args.kinds)
    elif args.step != "base":
        study = student_data(world, base=args.base)
        if args.step != "data":
            write_recorded(grader_reference(study))


if __name__ == "__main__":
    main()
