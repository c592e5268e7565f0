"""A run of the whole notebook on random weights and a handful of data, in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assignment.lab import outcomes, study
from assignment.lab.draw import demonstrations, gold_worth, label_pairs, poor_worth, prompt_records, written_candidates
from assignment.lab.experiment import Data
from assignment.lab.prompts import Question
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
