"""Held-out questions stay unanswered: not in the corpus, not in what is trained on, in no wording."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest

from assignment.lab.corpus import documents
from assignment.lab.draw import demonstrations, sampled_candidates, written_candidates
from assignment.lab.kinds import questions_of_each_kind
from assignment.lab.onpolicy import pool_questions
from assignment.lab.phrasing import asks
from assignment.lab.prompts import MAKERS, Question, draw_questions
from assignment.lab.replies import COMPARED, reply_with
from assignment.lab.world import Part, Partition, Split, World
from rlhf_kit.data import DATA, load_demonstrations, load_preferences, load_prompts
from tests.support.questions import keys_in

WORLD = World.from_seed(11)
PARTS: tuple[Part, ...] = ("student", "grader")


def heldout_keys(texts: list[str], world: World = WORLD) -> set[str]:
    """The held-out keys among all questions, claims and comparisons of the texts."""
    found = {key for text in texts for key in keys_in(world, text)}
    assert len(found) > 100, "hardly any question was recognised"
    return {key for key in found if world.place(key)[1] == "heldout"}


@pytest.mark.parametrize("split", ["train", "heldout"])
@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_every_wording_is_recognised_by_its_key(kind: str, split: Split) -> None:
    drawn = [q for q in draw_questions(Partition(WORLD, "student", split), 3000, "wordings") if q.kind == kind]
    assert len(drawn) > 100
    for one in drawn:
        assert list(keys_in(WORLD, one.instruction)) == [one.key], one.instruction


def test_the_corpus_asks_claims_and_compares_nothing_that_is_held_out() -> None:
    assert not heldout_keys(list(islice(documents(WORLD, 3), 40_000)))


def test_the_corpus_names_no_stranger_that_is_held_out() -> None:
    asked = {one.subject for part in PARTS for one in _strangers(part)}
    words = {word for text in islice(documents(WORLD, 4), 40_000) for word in text.replace(".", "").split()}
    assert len(asked) > 500
    assert not asked & words


def _strangers(part: Part) -> list[Question]:
    drawn = draw_questions(Partition(WORLD, part, "heldout"), 4000, "strangers")
    return [one for one in drawn if one.kind in ("unknown", "context")]


@pytest.mark.parametrize("part", PARTS)
def test_what_is_trained_on_asks_nothing_that_is_held_out(part: Part) -> None:
    partition = Partition(WORLD, part, "train")
    rows = [f"{row['instruction']} {row['response']}" for row in demonstrations(partition, 1600, 1)]
    pairs = [f"{c.question.prompt} {c.first} {c.second}" for c in written_candidates(partition, 4000, 1)]
    pool = [one.prompt for one in pool_questions(partition, 1500, 1)]
    assert not heldout_keys(rows + pairs + pool)


@pytest.mark.parametrize("part", PARTS)
def test_earlier_turns_of_heldout_prompts_ask_nothing_that_is_held_out(part: Part) -> None:
    drawn = draw_questions(Partition(WORLD, part, "heldout"), 4000, "turns")
    assert not heldout_keys([one.history for one in drawn if one.history])


def test_shipped_rows_ask_nothing_that_is_held_out() -> None:
    world = World.from_seed(json.loads((DATA / "manifest.json").read_text())["world"])
    rows = [row["instruction"] + row["response"] for row in load_demonstrations()]
    for split in ("train", "poor"):
        rows += [row[side] for row in load_preferences(split) for side in ("chosen", "rejected")]
    assert not heldout_keys([*rows, *(row["prompt"] for row in load_prompts("train"))], world)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_every_question_is_seen_to_ask(kind: str) -> None:
    drawn = [q for q in draw_questions(Partition(WORLD, "student", "train"), 2000, "asks") if q.kind == kind]
    assert all(asks(f"Let me think about it. {one.instruction}") for one in drawn)


@pytest.mark.parametrize("behaviour", sorted(COMPARED))
def test_no_written_reply_asks(behaviour: str) -> None:
    rng = random.Random(2)
    for one in draw_questions(Partition(WORLD, "student", "train"), 500, "replies"):
        assert not asks(reply_with(WORLD, one, behaviour, rng))


def test_sampled_replies_that_ask_are_left_out_of_pairs() -> None:
    one, two = draw_questions(Partition(WORLD, "student", "train"), 2, "sampled")
    replies = [["It is red.", f"It is red. {two.instruction} It is blue."], ["It is red.", "It is blue."]]
    assert [c.question for c in sampled_candidates([one, two], replies)] == [two]


def test_sampled_replies_that_run_on_are_left_out_of_pairs() -> None:
    one, two = draw_questions(Partition(WORLD, "student", "train"), 2, "sampled")
    replies = [["It is red.\n\nAssistant: It is blue.", "It is red."], ["It is red.", "It is blue."]]
    assert [c.question for c in sampled_candidates([one, two], replies)] == [two]


def test_yes_and_no_are_asked_equally_often() -> None:
    drawn = questions_of_each_kind(Partition(WORLD, "student", "heldout"), 600, 1)
    yes = [one.answer[0] == "yes" for one in drawn if one.kind == "yesno"]
    # five standard errors of a fair coin over 600 draws
    assert abs(sum(yes) / len(yes) - 0.5) < 0.1


def test_a_context_is_the_only_place_of_its_answer_and_half_of_them_confuse() -> None:
    drawn = [q for q in questions_of_each_kind(Partition(WORLD, "grader", "heldout"), 400, 2) if q.kind == "context"]
    assert not {one.subject for one in drawn} & set(WORLD.animals)
    confused = [one for one in drawn if "confused" in one.others]
    assert 0.4 < len(confused) / len(drawn) < 0.6
    for one in confused:
        assert one.others["confused"] != one.answer[0]
        assert one.others["confused"] in one.context
    places = {one.context.rstrip(".").split(". ").index(_telling(one)) for one in drawn}
    assert places >= {0, 1, 2, 3}, "the asked fact stands at few places"


def _telling(one: Question) -> str:
    """The sentence of a context that answers its question."""
    told = [s for s in one.context.rstrip(".").split(". ") if f"The {one.subject} " in f"{s} "]
    return next(s.rstrip(".") for s in told if one.answer[0] in s.split())


def test_lists_have_names_enough_and_leave_out_the_one_that_is_named() -> None:
    rng = random.Random(1)
    keys = {one.key for _ in range(4) for one in _lists(rng)}
    assert len(keys) > 40
    for one in _lists(rng):
        assert len(set(one.answer)) >= 2
        assert one.subject not in one.answer
        assert set(one.answer) <= set(WORLD.animals)


def _lists(rng: random.Random) -> list[Question]:
    drawn = questions_of_each_kind(Partition(WORLD, "student", "heldout"), 100, rng.random())
    return [one for one in drawn if one.kind == "list"]
