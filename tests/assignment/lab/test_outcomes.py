"""A row of outcomes, from a run on random weights, and the file that rows are appended to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from assignment.lab import outcomes
from assignment.lab.figures import MODELS, curve_figures
from assignment.lab.world import World
from assignment.registry.claims import load_claims
from rlhf_kit.models import BASE_MODEL
from tests.support.small_study import HELDOUT_PROMPTS, made_up_curves, small_study

if TYPE_CHECKING:
    from pathlib import Path

KINDS = 2


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Measure one run, and read its row back from JSON."""
    with pytest.MonkeyPatch.context() as patch:
        study = small_study(tmp_path_factory.mktemp("run"), patch)
        return json.loads(json.dumps(outcomes.measured(study, KINDS), allow_nan=False))


def test_row_has_every_figure_that_a_claim_needs(row: dict[str, Any]) -> None:
    # a run of three phases has not all figures of the curves
    found = set(row["figures"]) | set(curve_figures(made_up_curves()))
    needed = {name for claim in load_claims().claim for name in claim.figures}
    assert needed - found == set()


def test_row_counts_the_asked_questions_of_each_kind(row: dict[str, Any]) -> None:
    for counts in row["kinds"].values():
        assert {one["n"] for one in counts.values()} == {KINDS}
        assert all(sum(one["pairs"]) == KINDS and 1 <= one["distinct"] <= KINDS for one in counts.values())


def test_counts_of_pairs_agree_with_the_counts_of_right_answers(row: dict[str, Any]) -> None:
    for counts in row["kinds"].values():
        for one in counts.values():
            both, sft_only, good_only, _ = one["pairs"]
            assert (both + sft_only, both + good_only) == (one["right"]["sft"], one["right"]["good"])


def test_sft_wins_half_against_itself_at_no_distance(row: dict[str, Any]) -> None:
    for decoding in ("sampled", "greedy"):
        assert (row["figures"][f"sft_win_{decoding}"], row["figures"][f"sft_kl_{decoding}"]) == (0.5, 0)


def test_kl_of_the_first_phase_is_nought(row: dict[str, Any]) -> None:
    assert row["figures"]["kl_first_size"] < 1e-5


def test_curves_of_both_runs_have_a_point_for_each_phase_gold_included(row: dict[str, Any]) -> None:
    assert {name: len(curve["gold"]) for name, curve in row["curves"].items()} == {"poor": 3, "good": 3}
    assert all(len(points) == 3 for curve in row["curves"].values() for points in curve.values())


def test_row_keeps_what_a_person_reads_first(row: dict[str, Any]) -> None:
    assert list(row["gold"]) == list(MODELS)
    assert row["prompts"] == HELDOUT_PROMPTS
    assert row["gold"]["SFT"] == pytest.approx(row["figures"]["sft_gold_sampled"], abs=1e-3)
    assert row["good_rm_accuracy"] == pytest.approx(row["figures"]["good_accuracy"], abs=1e-4)
    gap = row["gold"]["SFT"] - row["gold"]["Base"]
    assert row["SFT > Base"]["gap"] == pytest.approx(gap, abs=2e-3)


def test_row_without_its_samples_stays_below_twenty_kilobytes(row: dict[str, Any]) -> None:
    full = {**row, "curves": made_up_curves()}
    assert len(json.dumps({name: part for name, part in full.items() if name != "samples"})) < 20_000


def test_seeds_that_have_a_row_are_skipped_and_others_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ran = tmp_path / "new" / "lab-world-1.jsonl", list[tuple[int, int]]()

    def outcome(_world: World, seed: int, _base: Path, kinds: int) -> dict[str, Any]:
        ran.append((seed, kinds))
        return {"world": 1, "seed": seed, "samples": ["long"], "figures": {}}

    monkeypatch.setattr(outcomes, "outcome", outcome)
    for seeds in ([1, 2], [2, 3, 1]):
        outcomes.append_outcomes(World.from_seed(1), seeds, BASE_MODEL, path, 5)
    assert ran == [(1, 5), (2, 5), (3, 5)]
    assert [row["seed"] for row in outcomes.read_rows(path)] == [1, 2, 3]
    assert "long" not in capsys.readouterr().out


def test_interrupted_seed_leaves_the_rows_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab-world-1.jsonl"

    def outcome(_world: World, seed: int, *_: object) -> dict[str, Any]:
        if seed == 2:
            raise KeyboardInterrupt
        return {"world": 1, "seed": seed}

    monkeypatch.setattr(outcomes, "outcome", outcome)
    with pytest.raises(KeyboardInterrupt):
        outcomes.append_outcomes(World.from_seed(1), [1, 2, 3], BASE_MODEL, path)
    assert [row["seed"] for row in outcomes.read_rows(path)] == [1]
