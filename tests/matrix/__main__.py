"""The command of `make matrix`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from assignment.files import write_atomically
from assignment.registry import Spec, load_spec
from tests.matrix import entries, nulls, outcomes, run
from tests.matrix.entries import SEEDS, Entry
from tests.matrix.grading import Verdicts
from tests.matrix.invented import invented
from tests.matrix.page import MADE_BY, page
from tests.matrix.spoilt_outputs import SpoiltOutputs
from tests.matrix.summary import Matrix
from tests.matrix.variants import variants
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE, QUICK_PAGE = ROOT / "docs" / "grading-matrix.md", ROOT / "dist" / "grading-matrix.md"
HELP = """Grade every known mistake, every correct variant and every null answer with the real grader, and
compare what each of them loses with what it must lose.

It writes docs/grading-matrix.md and prints the result as its last line. Results are kept under
dist/matrix by a hash of the code that they depend on: after Ctrl-C it continues where it stopped, and
after a change only the entries run again that depend on the changed code.
"""
Found = dict[tuple[str, str, int], Verdicts]  # by kind of task, id of the entry, grading seed
EPILOG = """examples:
  python -m tests.matrix --quick            slot tests, one seed and one form each, quality of variants (CI)
  python -m tests.matrix                    all of it; training takes most of an hour
  python -m tests.matrix --slot T12         one slot's entries, printed only
exit code: 0 if everything is as declared, 1 if not, 130 after Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.matrix", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one seed for each entry, one form of each null answer, "
                        "code quality of correct answers only, and no training tests")  # fmt: skip
    parser.add_argument("--slot", default="", help="entries of this slot only; the page is not written")
    parser.add_argument("--jobs", type=int, default=2, help="processes for slot tests (default 2)")
    parser.add_argument("--out", type=Path, help="where the page goes (default docs/grading-matrix.md; with --quick "
                        "dist/grading-matrix.md, which says that training was left out)")  # fmt: skip
    options = parser.parse_args(arguments)
    options.out = options.out or (QUICK_PAGE if options.quick else PAGE)
    if options.out.exists() and not (options.out.is_file() and MADE_BY.encode() in options.out.read_bytes()):
        parser.error(f"{options.out} is no page of this command and is not replaced: move it, or choose another --out")
    spec = load_spec()
    try:
        matrix = graded(spec, options.slot, options.jobs, train=not options.quick)
    except KeyboardInterrupt:
        print("\nstopped; what was graded is kept, and the next run goes on from here", file=sys.stderr)
        return 130
    if not options.slot:
        write_atomically(options.out, page(matrix, spec))
        print(f"written: {options.out}")
    faults = matrix.faults(spec)
    print(*faults, matrix.second_line(), matrix.line(spec), sep="\n")
    return 1 if faults else 0


def graded(spec: Spec, slot: str, jobs: int, *, train: bool) -> Matrix:
    """Grade all entries, or those of one slot. Without training, each entry is graded on one of the seeds, in turn."""

    def mine(every: list[Entry]) -> list[Entry]:
        return [entry for entry in every if not slot or slot in entry.changes]

    wrong, pairs, right = (mine(x) for x in (entries.misconceptions(), entries.pairs(), variants()))
    empty, new = mine(nulls.nulls(all_forms=train)), mine(invented())
    reference, every = entries.reference(), [*wrong, *right, *new, *pairs]
    slots = [one.id for one in spec.slots if slot in ("", one.id)]
    found = run.grade_all(
        run.flat([
            [("blank", Entry("blank", "blank"), SEEDS[0]), *(("spoilt", Entry("spoilt", id_), 0) for id_ in slots)],
            run.tasks_of(reference, SEEDS, quality=True),
            *(run.tasks_of(e, SEEDS if train else (_seed(i),), quality=train or e in right)
              for i, e in enumerate(every)),
            *(run.tasks_of(entry, SEEDS if train else SEEDS[:1], quality=False) for entry in empty),
        ]),
        jobs,
    )  # fmt: skip
    trained = run.train_all([reference, *every], found, SEEDS[0]) if train else {}

    def outcome(entry: Entry) -> outcomes.Outcome:
        runs = [(seed, verdicts) for (_, id_, seed), verdicts in found.items() if id_ == entry.id]
        runs += [(SEEDS[0], trained[entry.id])] if train else []
        return outcomes.outcome_of(entry, runs, spec, trained=train)

    return Matrix(
        [outcome(e) for e in wrong], [outcome(e) for e in pairs], [outcome(e) for e in right],
        _rejected(empty, found, spec), [SpoiltOutputs(**found["spoilt", s, 0][s]) for s in slots],
        _worst(reference, found, trained), found["blank", "blank", SEEDS[0]]["blank"]["score"], train,
        [outcome(e) for e in new],
    )  # fmt: skip


def _seed(i: int) -> int:
    return SEEDS[i % len(SEEDS)]


def _rejected(empty: list[Entry], found: Found, spec: Spec) -> dict[tuple[str, str], str]:
    """By slot and null answer: why the first form that was not rejected was not; "" if all forms were rejected."""
    out: dict[tuple[str, str], str] = {}
    for entry in empty:
        slot, null, _ = entry.id.split()
        runs = [verdicts for (what, id_, _), verdicts in found.items() if (what, id_) == ("slots", entry.id)]
        whys = [outcomes.rejected(entry, verdicts, spec) for verdicts in runs] or ["not graded"]
        out[slot, null] = out.get((slot, null)) or next(filter(None, whys), "")
    return out


def _worst(reference: Entry, found: Found, trained: dict[str, Verdicts]) -> Verdicts:
    """The reference's worst verdict on each item, over the seeds."""
    runs = [v for (_, id_, _), v in found.items() if id_ == reference.id] + [trained.get(reference.id, {})]
    items = {item for verdicts in runs for item in verdicts}
    return {i: min((v[i] for v in runs if i in v), key=lambda one: one["share"]) for i in items}


if __name__ == "__main__":
    sys.exit(main())
