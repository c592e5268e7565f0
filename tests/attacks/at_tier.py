"""The real command on a tier that is not this machine's best: python -m tests.attacks.at_tier 3 grade …"""

from __future__ import annotations

import sys

from autograder import cli
from autograder.sandbox import SandboxError, session
from autograder.sandbox.tiers import Tier, available_tiers


def choose(number: int) -> Tier:
    """The best tier of exactly this number. Raises SandboxError if there is none here."""
    for tier in available_tiers():
        if tier.number == number:
            return tier
    raise SandboxError(f"tier {number} does not work here")


def main() -> None:
    """Take the tier from the command line, then be the command."""
    number = int(sys.argv.pop(1))
    session.choose_tier = lambda required=None, *, unsafe=False: choose(number)
    cli.main()


if __name__ == "__main__":
    main()
