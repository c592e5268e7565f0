"""A run of the whole notebook on random weights and a handful of data, in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assignment.lab import outcomes, study
from assignment.lab.draw import demonstrations, gold_worth, label_pairs, poor_worth, prompt_records, written_candidates
from assignment.lab.experiment import Data
from assignment.lab.figures import DECODINGS
from assignment.lab.prompts import MAKERS, Question
from assignment.lab.world import Partition, World
from tests.support.small_lab import small_profile, write_artefacts

PROMPTS, HELDOUT_PROMPTS = 16, 8


def few_data(world: World, seed: int, sft: Any, _tokenizer: object, poor_pairs: int) -> tuple[Data, Any]:
    """Draw data as `draw_data` does, but little of it, and no replies of the model, which says nothing yet."""
    train, heldout = Partition(world, "student", "train"), Partition(world, "student", "heldout")
    rows = demonstrations(train, 40, seed)

    def pairs(partition: Partition, worth: Any) -> list[Any]:
        return label_pairs(written_candidates(partition, 60, seed), worth, seed)[:24]

    data = Data(
        rows, pairs(train, gold_worth()), pairs(heldout, gold_worth()), pairs(train, poor_worth)[:poor_pairs],
        prompt_records(train, PROMPTS, seed), prompt_records(heldout, HELDOUT_PROMPTS, seed),
    )  # fmt: skip
    return data, sft(rows)


def small_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> study.Study:
    """Train everything for seed 3 of world 7."""
    monkeypatch.setattr(study, "draw_data", few_data)
    monkeypatch.setattr(outcomes, "HELDOUT_DEMONSTRATIONS", 8)
    _, base = write_artefacts(folder)
    return study.run_study(World.from_seed(7), 3, base, replace(small_profile(), poor_pairs=12))


def question(kind: str, answer: list[str], **fields: Any) -> Question:
    """Make a question by hand."""
    return Question(
        kind, fields.pop("key", f"{kind} {answer}"), "?", "frelka", answer=answer, **{"attribute": "colour", **fields}
    )


def made_up_curves(poor_reward: float = 0.2, good_reward: float = 0.1) -> dict[str, dict[str, list[float]]]:
    """Make straight curves of 40 phases for both runs: each quantity rises by its slope in each phase."""
    slopes = {"kl": 0.05, "length": 0.1, "entropy": -0.01, "value_loss": -0.002, "gold": 0.02}
    flat = {"clip_fraction": 0.03, "approx_kl": 0.002}
    return {
        run: {name: [slope * t for t in range(40)] for name, slope in {**slopes, "reward": reward}.items()}
        | {name: [value] * 40 for name, value in flat.items()}
        for run, reward in (("poor", poor_reward), ("good", good_reward))
    }


def made_up_row(seed: int, **figures: float) -> dict[str, Any]:
    """Make the row of a seed. Of each kind's ten questions SFT answers 6 rightly, the Good-RM policy 7, both 4."""
    right = {"base": 1, "sft": 6, "poor": 3, "good": 7}
    counts = {"n": 10, "distinct": 9, "right": right, "empty": dict.fromkeys(right, 0), "pairs": [4, 2, 3, 1]}
    kinds = {decoding: dict.fromkeys(MAKERS, counts) for decoding in DECODINGS}
    return {"world": 7, "seed": seed, "figures": figures, "kinds": kinds, "curves": made_up_curves()}
