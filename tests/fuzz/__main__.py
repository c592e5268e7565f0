"""`make fuzz`: damaged notebooks and archives, each of which must end in a clear status.

Every case is made from --seed and its number, so that a run can be repeated exactly. Cases take turns through the kinds
of damage. All go through the real intake and extraction, some of each kind through the whole `grade` command. A file
that did not end in a clear status is kept in dist/fuzz. After Ctrl-C, continue with --start.

The last line is `fuzz 1000/1000 clear` if all cases are; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm.auto import tqdm

from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.run import Outcome, file_name, made, run_case

KEPT = Path("dist/fuzz")
COUNT = 1000  # default number of cases
LINE_EVERY = 50  # cases per line of progress, if there is no terminal


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="kinds of damage: " + ", ".join(MUTATIONS),
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=COUNT, help="cases (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all cases (default: %(default)s)")
    parser.add_argument("--start", type=int, default=0, help="number of the first case (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cases at a time (default: the cores)")
    return parser.parse_args()


def run_all(seed: int, numbers: range, jobs: int) -> list[Outcome]:
    """Run the cases until all are done or Ctrl-C is pressed. Returns the outcomes so far."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run_case, seed, number, Path(folder)) for number in numbers]
        bar = tqdm(as_completed(futures), total=len(futures), unit="case", disable=None, mininterval=2)
        try:
            for future in bar:
                outcomes.append(future.result())
                if not sys.stderr.isatty() and len(outcomes) % LINE_EVERY == 0:
                    print(f"{len(outcomes)} of {len(numbers)} cases", file=sys.stderr)
                if outcomes[-1].fault:
                    keep(seed, outcomes[-1])
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            first = min(set(numbers) - {outcome.number for outcome in outcomes}, default=None)
            print(f"interrupted; continue with --start {first}", file=sys.stderr)
    return outcomes


def keep(seed: int, outcome: Outcome) -> None:
    """Print what happened, and keep the file that caused it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    raw = made(seed, outcome.number)[1]
    path = KEPT / file_name(seed, outcome.number, raw)
    path.write_bytes(raw)
    tqdm.write(f"case {outcome.number} ({outcome.kind}): {outcome.fault}; kept as {path}", file=sys.stderr)


def main() -> None:
    """Run the cases, and print a table and the last line."""
    args = parsed()
    outcomes = run_all(args.seed, range(args.start, args.start + args.count), max(1, args.jobs))
    ends = Counter((outcome.kind, outcome.status) for outcome in outcomes)
    for kind in MUTATIONS:
        statuses = ", ".join(f"{status} {n}" for (k, status), n in sorted(ends.items()) if k == kind)
        slowest = max((o.seconds for o in outcomes if o.kind == kind), default=0.0)
        print(f"{kind:22} {statuses:60} slowest {slowest:5.1f} s")
    clear = sum(not outcome.fault for outcome in outcomes)
    print(f"fuzz {clear}/{len(outcomes)} clear")
    sys.exit(clear < args.count)


if __name__ == "__main__":
    main()
