"""The shipped data of the lab world, in the columns of the public data sets it stands for.

Demonstrations have Dolly's columns, preferences are HH-RLHF dialogues, prompts end in `Assistant:`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datasets import Dataset

DATA = Path(__file__).parent / "lab_data"


def load_demonstrations() -> Dataset:
    """Demonstrations for SFT: instruction, context (may be empty), response, category."""
    return _load("demonstrations")


def load_preferences(split: Literal["train", "heldout", "poor"] = "train") -> Dataset:
    """Preference pairs: chosen, rejected, two dialogues that share all but the last reply.

    "poor" is the small, biased set that the Poor RM learns from; "heldout" is for measuring accuracy.
    """
    return _load(f"preferences_{split}")


def load_prompts(split: Literal["train", "heldout"] = "train") -> Dataset:
    """Prompts for PPO ("train") and evaluation ("heldout", combinations that training never asks for).

    Columns: prompt, and what the gold reward knows about it: kind, subject, attribute, answer.
    """
    return _load(f"prompts_{split}")


def _load(name: str) -> Dataset:
    from datasets import Dataset, disable_progress_bars

    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        found = ", ".join(sorted(p.name.removesuffix(".jsonl.gz") for p in DATA.glob("*.jsonl.gz"))) or "nothing"
        raise FileNotFoundError(f"no data called {name!r} in {DATA} (it holds: {found}); unpack the release again")
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as scratch:  # datasets writes a cache; nothing of it should stay
        return Dataset.from_json(str(path), cache_dir=scratch, keep_in_memory=True)
