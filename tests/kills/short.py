"""Run the real command with training tests of a few rows: python -m tests.kills.short grade …"""

from __future__ import annotations

from autograder import cli
from autograder.training import data

ROWS = {"DEMONSTRATIONS": 64, "PREFERENCES": 40, "TRAIN_PROMPTS": 20}


def main() -> None:
    """Reduce the training data, then run the command."""
    for name, rows in ROWS.items():
        setattr(data, name, rows)
    cli.main()


if __name__ == "__main__":
    main()
