"""The registry: it loads, matches the contract, and its methods name what they know."""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.registry import SpecError, load_spec
from assignment.registry.tables import QUALITY_ITEMS


def test_slots_come_in_the_order_of_their_ids() -> None:
    ids = [slot.id for slot in load_spec().slots]
    assert ids == sorted(ids)
    assert ids


def test_criteria_have_the_points_of_the_contract() -> None:
    points = {criterion.id: criterion.points for criterion in load_spec().criteria}
    assert points == {"sft": 20, "reward_model": 25, "ppo": 30, "evaluation": 15, "code_quality": 10}


def test_success_criteria_are_the_four_training_tests() -> None:
    assert load_spec().success_criteria == ("sft_loss_trend", "rm_accuracy", "ppo_reward", "ppo_kl")


def test_every_slot_is_an_item_and_items_follow_the_criteria() -> None:
    spec = load_spec()
    listed = [item for criterion in spec.criteria for item in criterion.items]
    assert listed == list(spec.items)
    assert {slot.id for slot in spec.slots} <= set(listed)


def test_the_loop_of_a_training_item_is_one_of_its_stage_slots() -> None:
    training = [item for item in load_spec().items.values() if item.kind == "training"]
    assert training
    assert all(item.loop in item.stage_slots for item in training)


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_spec().slots[0].points = 99


def test_the_error_for_an_unknown_slot_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"T99.*T01, T02"):
        load_spec().slot("T99")


def test_the_error_for_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"huge.*tiny"):
        load_spec().thresholds("huge")


def test_there_is_no_bonus_group_without_bonus_items() -> None:
    assert not any(criterion.bonus for criterion in load_spec().criteria)


def test_the_quality_items_of_the_registry_are_those_the_grader_has() -> None:
    from autograder.quality.checks import TIPS

    assert tuple(TIPS) == QUALITY_ITEMS


def test_a_missing_registry_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.toml: cannot be read \(No such file or directory\)$"):
        load_spec(tmp_path / "nowhere.toml")


def test_a_registry_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "assignment.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="not UTF-8 text"):
        load_spec(tmp_path / "assignment.toml")
