"""Run the real command on another tier than this machine's best: python -m tests.attacks.at_tier 3 grade …"""

from __future__ import annotations

import sys

from autograder import cli
from autograder.sandbox import SandboxError, session
from autograder.sandbox.tiers import Tier, available_tiers


def choose(number: int) -> Tier:
    """The best tier with this number. Raises SandboxError if this machine has none."""
    for tier in available_tiers():
        if tier.number == number:
            return tier
    raise SandboxError(f"tier {number} does not work here")


def main() -> None:
    """Take the tier from the command line, then run the command."""
    number = int(sys.argv.pop(1))
    session.choose_tier = lambda *_, **__: choose(number)
    cli.main()


if __name__ == "__main__":
    main()
