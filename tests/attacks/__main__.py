"""python -m tests.attacks: see --help."""

from __future__ import annotations

import argparse
import signal
import sys

from tqdm import tqdm

from tests.attacks.canaries import Canaries
from tests.attacks.catalogue import ATTACKS
from tests.attacks.page import write_docs
from tests.attacks.runner import Runner, Verdict, summary

HELP = """Grade hostile submissions with the real command, and check what they gained and what they did.

Every attack is graded by `rlhf-lab grade`, on a host with canaries: secrets in the home, in the grader's
tree, in its environment and beside the submission, and sockets that listen. An attack must gain no point
over the same submission without the attack, touch no canary, leave no process, file or cgroup, and stay
within its limits on time and memory; and the next submission must be graded as usual.

Verdicts are kept under dist/attacks and reused as long as attack and grader are the same, so a run that
was stopped continues where it was. Attacks that succeeded are always run again.
"""
EXAMPLES = """examples:
  python -m tests.attacks                      all, on this machine's best tier
  python -m tests.attacks --only A07,C03       two of them
  python -m tests.attacks --quick              a sample of about three minutes
  python -m tests.attacks --tier 3             without namespaces
  python -m tests.attacks --write-docs         the table in docs/security.md from the kept verdicts
"""


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m tests.attacks", description=HELP, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="A07,C03", help="ids of attacks, with commas between")
    parser.add_argument("--quick", action="store_true", help="the sample that continuous integration runs")
    parser.add_argument("--tier", type=int, choices=(1, 2, 3), default=1, help="tier of the sandbox (default: 1)")
    parser.add_argument("--fresh", action="store_true", help="run all attacks again")
    parser.add_argument("--write-docs", action="store_true", help="write docs/security.md and end")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Exit code 0 if every attack failed, 1 if one did not, 2 for a wrong command line."""
    options = arguments(words)
    if options.write_docs:
        return write_docs()
    wanted = {id_.strip() for id_ in options.only.split(",") if id_.strip()}
    if unknown := wanted - {attack.id for attack in ATTACKS}:
        print(f"no attack called {', '.join(sorted(unknown))}; there are {', '.join(a.id for a in ATTACKS)}")
        return 2
    chosen = [a for a in ATTACKS if (not wanted or a.id in wanted) and (a.quick or not options.quick)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the canaries are removed then too
    verdicts: list[Verdict] = []
    titles = {attack.id: attack.title for attack in ATTACKS}
    with Canaries() as canaries, tqdm(total=len(chosen), unit="attack", disable=None) as bar:

        def show(verdict: Verdict, kept: bool) -> None:
            verdicts.append(verdict)
            problems = [*verdict.gained, *verdict.host, *verdict.after]
            mark = "FAIL" if problems else "ok  "
            bar.write(f"{mark} {verdict.id} {titles[verdict.id]}: {verdict.happened}"
                      f" ({'kept' if kept else f'{verdict.wall_s:g} s, {verdict.rss_mib} MiB'})")  # fmt: skip
            for problem in problems:
                bar.write(f"       {problem}")
            bar.update()

        try:
            Runner(options.tier, canaries, options.fresh).run(chosen, show)
        except KeyboardInterrupt:
            bar.write("stopped; the verdicts so far are kept")
    print(summary(verdicts))
    return int(len(verdicts) < len(chosen) or any(v.gained or v.host or v.after for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
