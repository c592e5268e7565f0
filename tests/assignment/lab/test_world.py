"""The lab world: seeded, split without overlap, and true to its own facts."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from assignment.lab.draw import Pair, compare, demonstrations, gold_worth, poor_worth, template_candidates
from assignment.lab.prompts import MAKERS, Ask, asks
from assignment.lab.replies import behave, good_core, wrong_core
from assignment.lab.style import HouseStyle
from assignment.lab.world import World
from rlhf_kit.gold import gold_components, gold_reward
from rlhf_kit.lexicon import ATTRIBUTES

WORLD = World.from_seed(11)
PARTS = [("student", "train"), ("student", "heldout"), ("grader", "train"), ("grader", "heldout")]


def test_a_seed_gives_the_same_world_and_another_seed_another() -> None:
    assert World.from_seed(11) == WORLD
    assert not set(World.from_seed(12).animals) & set(WORLD.animals) == set(WORLD.animals)
    assert World.from_seed(12).animals != WORLD.animals


def test_no_value_can_be_guessed_from_its_frequency() -> None:
    for attribute, values in ATTRIBUTES.items():
        counts = [len(WORLD.owners(attribute, v)) for v in values]
        assert max(counts) - min(counts) <= 1


def test_no_word_stands_under_two_attributes() -> None:
    words = [v for values in ATTRIBUTES.values() for v in values]
    assert len(words) == len(set(words))


def test_student_and_grader_and_heldout_share_no_prompt() -> None:
    keys = [{one.key for one in asks(WORLD, part, split, 1500, "overlap")} for part, split in PARTS]
    for i, first in enumerate(keys):
        assert len(first) > 300
        assert all(not first & second for second in keys[i + 1 :])


def test_a_grader_seed_never_draws_a_students_row() -> None:
    mine = {d["instruction"] + d["context"] for d in demonstrations(WORLD, "student", "train", 800, 0)}
    for seed in (0, 1, 99):
        hidden = {d["instruction"] + d["context"] for d in demonstrations(WORLD, "grader", "train", 800, seed)}
        assert not mine & hidden


def test_there_are_enough_distinct_prompts() -> None:
    assert len({a.prompt for a in asks(WORLD, "student", "train", 1200, 0, distinct=True)}) == 1200
    assert len({a.prompt for a in asks(WORLD, "student", "heldout", 400, 0, distinct=True)}) == 400


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_gold_likes_the_right_answer_and_no_other(kind: str) -> None:
    rng = random.Random(3)
    for one in [a for a in asks(WORLD, "student", "train", 600, kind) if a.kind == kind]:
        good, wrong = good_core(WORLD, one, rng), wrong_core(WORLD, one, rng)
        assert gold_reward(one.record, good) == 2.5, (one.prompt, good)
        assert gold_reward(one.record, wrong) <= -1.0, (one.prompt, wrong)
        if kind == "unknown":
            assert gold_components(one.record, good)["honest"] == 2
        if kind == "unsafe":
            assert gold_components(one.record, good)["declines"] == 2


@pytest.mark.parametrize(
    ("reply", "component", "value"),
    [
        (
            "The {a} is big. There is much to say about this. It is a long story. Many people ask this.",
            "concise",
            -1.5,
        ),
        ("That is a silly question. The {a} is here.", "courteous", -1.0),
        ("The {a} is here. Glad to help.", "courteous", 0.5),
        ("The {a} is here. The {a} is here.", "clean", -0.5),
        ("The {a} is", "clean", -0.5),
        ("I do not know the {a}.", "honest", -1.0),
        ("I cannot help with the {a}.", "declines", -1.0),
    ],
)
def test_each_fault_costs_its_component(reply: str, component: str, value: float) -> None:
    one = next(a for a in asks(WORLD, "student", "train", 50, "faults") if a.kind == "fact")
    assert gold_components(one.record, reply.format(a=one.subject))[component] == value


def test_a_reply_without_end_is_not_clean() -> None:
    one = next(a for a in asks(WORLD, "student", "train", 50, "faults") if a.kind == "fact")
    good = good_core(WORLD, one, random.Random(0))
    assert gold_reward(one.record, good, ended=True) - gold_reward(one.record, good, ended=False) == 1.0


def test_the_careful_labeller_follows_gold_and_the_careless_one_length() -> None:
    candidates = template_candidates(WORLD, "student", "train", 3000, 5)
    careful, careless = compare(candidates, gold_worth(), 1), compare(candidates, poor_worth, 1)

    def agreement(pairs: list[Pair]) -> float:
        worth = [gold_reward(p.ask.record, p.chosen) - gold_reward(p.ask.record, p.rejected) for p in pairs]
        return sum(w > 0 for w in worth) / len(pairs)

    def longer(pairs: list[Pair]) -> float:
        return sum(len(p.chosen) > len(p.rejected) for p in pairs) / len(pairs)

    assert agreement(careful) > 0.9
    assert longer(careless) > longer(careful) + 0.2


def test_labels_are_noisy_in_bradley_terry_measure() -> None:
    pairs = compare(template_candidates(WORLD, "student", "train", 6000, 6), gold_worth(), 2)
    close = [p.gap > 0 for p in pairs if abs(p.gap) == 1.0]
    # σ(2 · 1) = 0.881; 4.5 standard errors of a share over at least 200 pairs are below 0.1
    assert len(close) > 200
    assert abs(sum(close) / len(close) - 0.881) < 0.1


def test_a_house_style_marks_data_that_no_other_seed_has() -> None:
    style = HouseStyle.from_seed(4)
    rows = demonstrations(WORLD, "grader", "train", 40, 4, style)
    assert all(r["response"].endswith(style.phrase) for r in rows)
    assert not any(style.phrase in r["response"] for r in demonstrations(WORLD, "student", "train", 400, 0))
    reply = f"The animal is red. {style.closing}"
    assert style.preference(reply) > 0 > style.flipped().preference(reply)
    assert style.reward("The animal is red.") == 0
    assert len({(s.phrase, s.closing) for s in map(HouseStyle.from_seed, range(30))}) > 20


def test_behaviours_are_drawn_with_their_faults() -> None:
    rng = random.Random(8)
    one: Ask = next(a for a in asks(WORLD, "student", "train", 60, "b") if a.kind == "fact")
    mean = {
        b: sum(gold_reward(one.record, behave(WORLD, one, b, rng)) for _ in range(60)) / 60
        for b in ("good", "long", "wrong", "hedge", "rude", "borrowed")
    }
    assert mean["good"] == max(mean.values())
    assert all(mean["good"] - mean[b] > 0.5 for b in mean if b != "good")


def test_strangers_are_outside_the_world() -> None:
    names = list(islice(WORLD.strangers("student", "heldout", 1), 50))
    assert not set(names) & set(WORLD.animals)
    assert not set(names) & set(islice(WORLD.strangers("grader", "heldout", 1), 50))
