"""Load the data of the lab world, which has the format of public data sets.

Demonstrations have Dolly's columns, preferences are dialogues as in HH-RLHF, prompts end in `Assistant:`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datasets import Dataset

DATA = Path(__file__).parent / "lab_data"


def load_demonstrations() -> Dataset:
    """Load the demonstrations for SFT: instruction, context (may be empty), response, category."""
    return _load("demonstrations")


def load_preferences(split: Literal["train", "heldout", "poor"] = "train") -> Dataset:
    """Load preference pairs: chosen and rejected, two dialogues that differ in the last reply alone.

    "poor" is the small, biased set on which the Poor RM is trained; "heldout" is for measuring accuracy.
    """
    return _load(f"preferences_{split}")


def load_prompts(split: Literal["train", "heldout"] = "train") -> Dataset:
    """Load prompts for PPO ("train") or evaluation ("heldout", which asks about other combinations).

    Columns: prompt, and for the gold reward kind, subject, attribute and answer.
    """
    return _load(f"prompts_{split}")


def _load(name: str) -> Dataset:
    from datasets import Dataset, disable_progress_bars

    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        found = (
            ", ".join(sorted(p.name.removesuffix(".jsonl.gz") for p in DATA.glob("*.jsonl.gz")))
            or "nothing"
        )
        raise FileNotFoundError(
            f"no data called {name!r} in {DATA} (it holds: {found}); unpack the release again"
        )
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as scratch:  # datasets writes a cache, which is not kept
        return Dataset.from_json(str(path), cache_dir=scratch, keep_in_memory=True)
