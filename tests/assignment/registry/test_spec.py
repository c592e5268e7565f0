"""The registry: does it load, agree with the contract, and refuse what does not add up?"""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.registry import REGISTRY, SpecError, load_spec

TEXT = REGISTRY.read_text(encoding="utf-8")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """The registry with one piece of text replaced."""
    assert old in TEXT, f"the test's text {old!r} is not in the registry any more"
    path = tmp_path / "assignment.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


def test_there_are_fifteen_slots_in_order() -> None:
    assert [slot.id for slot in load_spec().slots] == [f"T{i:02d}" for i in range(1, 16)]


def test_criteria_have_the_contract_s_points() -> None:
    points = {criterion.id: criterion.points for criterion in load_spec().criteria}
    assert points == {"sft": 20, "reward_model": 25, "ppo": 30, "evaluation": 15, "code_quality": 10}


def test_success_criteria_are_the_four_training_tests() -> None:
    assert load_spec().success_criteria == ("sft_loss_trend", "rm_accuracy", "ppo_reward", "ppo_kl")


def test_every_slot_is_an_item_and_items_follow_the_criteria() -> None:
    spec = load_spec()
    listed = [item for criterion in spec.criteria for item in criterion.items]
    assert listed == list(spec.items)
    assert {slot.id for slot in spec.slots} <= set(listed)


def test_the_loop_under_test_is_among_its_stage_s_slots() -> None:
    training = [item for item in load_spec().items.values() if item.kind == "training"]
    assert training and all(item.loop in item.stage_slots for item in training)


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_spec().slots[0].points = 99


def test_an_unknown_slot_is_answered_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="T99.*T01, T02"):
        load_spec().slot("T99")


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="huge.*tiny"):
        load_spec().thresholds("huge")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('points = 20\n', 'points = 21\n', "criterion sft has 21 points, its items sum to 20"),
        ("max_points = 100", "max_points = 90", "max_points is 90, the criteria sum to 100"),
        ("pass_mark = 70", "pass_mark = 700", "pass_mark 700 is above"),
        ('id = "T07"', 'id = "T06"', "must be T01..T15, each once"),
        ('id = "T07"', 'id = "T7"', "pattern"),
        ('name = "gae"', 'name = "ppo_loss"', "two slots are called ppo_loss"),
        ('criterion = "ppo"', 'criterion = "poo"', "unknown criterion 'poo'"),
        ('loop = "T09"', 'loop = "T01"', "loop T01 is not among its stage_slots"),
        ('"T06", "T07", "T09"]', '"T06", "T77", "T09"]', "unknown slot T77"),
        ('"ppo_reward", "ppo_kl"]', '"ppo_reward", "joy"]', "success criterion joy"),
        ('profiles = ["tiny"]', 'profiles = ["tiny", "gpt2"]', "profiles are"),
        ("\nmin = 0.3 ", "\nmin = 13.0 ", "not below max"),
        ("seeds = 2", "seeds = 3", "multiple of 2"),
        ("gradient = 0.5", "gradient = 5", "less than or equal to 1"),
        ("pass_mark = 70", "pass_mrk = 70", "pass_mrk"),
        ("[assignment]", "[assignment", "not valid TOML"),
    ],
)
def test_a_registry_that_does_not_agree_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        load_spec(changed(tmp_path, old, new))
    assert says in str(refused.value)


def test_a_missing_registry_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="nowhere.toml: cannot be read"):
        load_spec(tmp_path / "nowhere.toml")
