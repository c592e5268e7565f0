"""The training part of the matrix, on a model of one layer: a stage runs once for all entries with the same code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autograder.sandbox.pool import WorkerPool
from autograder.training import data
from tests.matrix.entries import Entry, misconceptions, reference
from tests.matrix.grading import Trainer
from tests.matrix.store import Store
from tests.support.small_lab import LocalSession, small_lab

SEED = 3
BY_ID = {entry.id: entry for entry in misconceptions()}


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    for name, rows in (("DEMONSTRATIONS", 160), ("PREFERENCES", 120), ("TRAIN_PROMPTS", 60)):
        monkeypatch.setattr(data, name, rows)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return small_lab(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture
def trainer(lab, tmp_path):
    grader: Any = SimpleNamespace(store=Store(tmp_path), spec=lab.spec)
    prepared: Any = SimpleNamespace(lab=lab, data=lambda stage: stage.draw(lab, SEED))
    return Trainer(grader, "tiny", SEED, prepared)


def slots(lab, entry: Entry) -> dict:
    """Verdicts as slot tests give them: changed slots are wrong, and all others passed."""
    return {
        slot.id: {"status": "wrong" if slot.id in entry.changes else "passed",
                  "share": float(slot.id not in entry.changes), "names": "", "message": ""}
        for slot in lab.spec.slots
    }  # fmt: skip


def test_only_what_takes_part_in_a_stage_runs_it_again(lab, trainer):
    ran, found = [], {}
    for id_ in ("reference", "T04 S05", "T02 D04", "T05 S26", "T05 S26"):
        entry = BY_ID.get(id_, reference())
        found[id_] = trainer.graded(entry, slots(lab, entry), WorkerPool(LocalSession()))
        ran.append(trainer.ran)
    assert ran == [4, 4, 4, 5, 5]
    assert found["T04 S05"] == found["T02 D04"] == found["reference"]
    assert {item for item, one in found["reference"].items() if one != found["T05 S26"][item]} == {"sft_loss_trend"}
    assert found["T05 S26"]["sft_loss_trend"]["names"] == "W1"
