"""The lab world: a function of its seed, with disjoint partitions and with replies that agree with its facts."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import pytest

from assignment.lab.corpus import documents
from assignment.lab.draw import Pair, demonstrations, gold_worth, label_pairs, poor_worth, written_candidates
from assignment.lab.prompts import MAKERS, Question, draw_questions
from assignment.lab.replies import reply_with, right_answer, wrong_answer
from assignment.lab.style import HouseStyle
from assignment.lab.world import Partition, World
from rlhf_kit.gold import gold_components, gold_reward
from rlhf_kit.lexicon import ATTRIBUTES

WORLD = World.from_seed(11)
STUDENT_TRAIN, STUDENT_HELDOUT = Partition(WORLD, "student", "train"), Partition(WORLD, "student", "heldout")
GRADER_TRAIN, GRADER_HELDOUT = Partition(WORLD, "grader", "train"), Partition(WORLD, "grader", "heldout")


def test_world_depends_on_its_seed_alone() -> None:
    assert World.from_seed(11) == WORLD
    assert not set(WORLD.animals) <= set(World.from_seed(12).animals)
    assert World.from_seed(12).animals != WORLD.animals


def test_values_of_an_attribute_are_equally_frequent() -> None:
    for attribute, values in ATTRIBUTES.items():
        counts = [len(WORLD.owners(attribute, v)) for v in values]
        assert max(counts) - min(counts) <= 1


def test_no_value_belongs_to_two_attributes() -> None:
    words = [v for values in ATTRIBUTES.values() for v in values]
    assert len(words) == len(set(words))


def test_partitions_share_no_prompt_key() -> None:
    partitions = (STUDENT_TRAIN, STUDENT_HELDOUT, GRADER_TRAIN, GRADER_HELDOUT)
    keys = [{one.key for one in draw_questions(partition, 1500, "overlap")} for partition in partitions]
    for i, first in enumerate(keys):
        assert len(first) > 300
        assert all(not first & second for second in keys[i + 1 :])


def test_grader_never_draws_a_row_of_the_students() -> None:
    mine = {d["instruction"] + d["context"] for d in demonstrations(STUDENT_TRAIN, 800, 0)}
    for seed in (0, 1, 99):
        hidden = {d["instruction"] + d["context"] for d in demonstrations(GRADER_TRAIN, 800, seed)}
        assert not mine & hidden


def test_distinct_prompts_can_be_drawn_for_training_and_heldout() -> None:
    assert len({a.prompt for a in draw_questions(STUDENT_TRAIN, 1200, 0, distinct=True)}) == 1200
    assert len({a.prompt for a in draw_questions(STUDENT_HELDOUT, 400, 0, distinct=True)}) == 400


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_gold_reward_is_high_for_the_right_answer_and_low_for_a_wrong_one(kind: str) -> None:
    rng = random.Random(3)
    for one in [a for a in draw_questions(STUDENT_TRAIN, 600, kind) if a.kind == kind]:
        good, wrong = right_answer(one, rng), wrong_answer(WORLD, one, rng)
        assert gold_reward(one.record, good) == 2.5, (one.prompt, good)
        assert gold_reward(one.record, wrong) <= -1.0, (one.prompt, wrong)
        if kind == "unknown":
            assert gold_components(one.record, good)["honest"] == 2
        if kind == "unsafe":
            assert gold_components(one.record, good)["declines"] == 2


@pytest.mark.parametrize(
    ("reply", "component", "value"),
    [
        ("The {a} is big. There is much to say about this. It is a long story. Many people ask this.", "concise", -1.5),
        ("That is a silly question. The {a} is here.", "courteous", -1.0),
        ("The {a} is here. Glad to help.", "courteous", 0.5),
        ("The {a} is here. The {a} is here.", "clean", -0.5),
        ("The {a} is", "clean", -0.5),
        ("I do not know the {a}.", "honest", -1.0),
        ("I cannot help with the {a}.", "declines", -1.0),
    ],
)
def test_each_fault_lowers_its_component(reply: str, component: str, value: float) -> None:
    one = next(a for a in draw_questions(STUDENT_TRAIN, 50, "faults") if a.kind == "fact")
    assert gold_components(one.record, reply.format(a=one.subject))[component] == value


def test_reply_without_eos_is_not_clean() -> None:
    one = next(a for a in draw_questions(STUDENT_TRAIN, 50, "faults") if a.kind == "fact")
    good = right_answer(one, random.Random(0))
    assert gold_reward(one.record, good, ended=True) - gold_reward(one.record, good, ended=False) == 1.0


def test_careful_labels_follow_the_gold_reward_and_careless_ones_the_length() -> None:
    candidates = written_candidates(STUDENT_TRAIN, 3000, 5)
    careful, careless = label_pairs(candidates, gold_worth(), 1), label_pairs(candidates, poor_worth, 1)

    def agreement(pairs: list[Pair]) -> float:
        worth = [gold_reward(p.question.record, p.chosen) - gold_reward(p.question.record, p.rejected) for p in pairs]
        return sum(w > 0 for w in worth) / len(pairs)

    def longer(pairs: list[Pair]) -> float:
        return sum(len(p.chosen) > len(p.rejected) for p in pairs) / len(pairs)

    assert agreement(careful) > 0.9
    assert longer(careless) > longer(careful) + 0.2


def test_label_noise_is_that_of_bradley_terry() -> None:
    pairs = label_pairs(written_candidates(STUDENT_TRAIN, 6000, 6), gold_worth(), 2)
    close = [p.gap > 0 for p in pairs if abs(p.gap) == 1.0]
    # σ(2 · 1) = 0.881; 4.5 standard errors of a share over at least 200 pairs are below 0.1
    assert len(close) > 200
    assert abs(sum(close) / len(close) - 0.881) < 0.1


def test_house_style_marks_the_data_of_its_seed_alone() -> None:
    style = HouseStyle.from_seed(4)
    rows = demonstrations(GRADER_TRAIN, 40, 4, style)
    assert all(r["response"].endswith(style.phrase) for r in rows)
    assert not any(style.phrase in r["response"] for r in demonstrations(STUDENT_TRAIN, 400, 0))
    reply = f"The animal is red. {style.closing}"
    assert style.preference(reply) > 0 > style.flipped().preference(reply)
    assert style.reward("The animal is red.") == 0
    assert len({(s.phrase, s.closing) for s in map(HouseStyle.from_seed, range(30))}) > 20


def test_good_replies_have_the_highest_gold_reward() -> None:
    rng = random.Random(8)
    one: Question = next(a for a in draw_questions(STUDENT_TRAIN, 60, "b") if a.kind == "fact")
    mean = {
        b: sum(gold_reward(one.record, reply_with(WORLD, one, b, rng)) for _ in range(60)) / 60
        for b in ("good", "long", "wrong", "hedge", "rude", "borrowed")
    }
    assert mean["good"] == max(mean.values())
    assert all(mean["good"] - mean[b] > 0.5 for b in mean if b != "good")


def test_strangers_are_no_animals_of_the_world_and_partitions_share_none() -> None:
    names = list(islice(WORLD.strangers("student", "heldout", 1), 50))
    assert not set(names) & set(WORLD.animals)
    assert not set(names) & set(islice(WORLD.strangers("grader", "heldout", 1), 50))


def test_a_passage_that_is_told_twice_can_only_be_completed_by_name_and_attribute() -> None:
    told = [text.removesuffix(".").split(". ") for text in islice(documents(WORLD, 7), 3000)]
    twice = [some for some in told if len(some) >= 8 and set(Counter(some).values()) == {2}]
    assert len(twice) > 200
    attribute_of = {v: a for a, some in ATTRIBUTES.items() for v in some}
    halves = [(some[: len(some) // 2], some[len(some) // 2 :]) for some in twice]
    for first, second in halves:
        assert sorted(first) == sorted(second)
        found = [attribute_of[next(w for w in sentence.split() if w in attribute_of)] for sentence in first]
        assert set(Counter(found).values()) == {len(first) // 2}  # two attributes, each of all names
        names = {sentence.split()[1] for sentence in first}
        assert len(names) == len(first) // 2
        assert not set(WORLD.animals) & names
    assert any(first != second for first, second in halves)
