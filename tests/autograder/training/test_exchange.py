"""Answers exchanged between two questions: a reward model that does not read the question is at chance."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import rlhf_kit as kit
from assignment.lab.prompts import Question, draw_question
from assignment.lab.world import Partition
from assignment.registry import load_spec
from autograder.reference.models import load_reference
from autograder.training import reward_model
from autograder.training.encoding import decode
from autograder.training.reward_model import EXCHANGES, RewardModelData, RewardModelStage
from autograder.training.stage import Lab
from autograder.training.weights import Snapshots
from rlhf_kit.gold import gold_reward

SEED = 20265
ASSISTANT = "\n\nAssistant:"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(load_reference(), load_spec(), kit.get_profile("tiny"))


@pytest.fixture(scope="module")
def drawn(lab: Lab) -> Any:
    return RewardModelData(None, *reward_model._exchanges(lab.reference, SEED))  # type: ignore[arg-type]


def parts(lab: Lab, ids: list[int]) -> tuple[str, str]:
    """Split token ids into prompt and reply, as text."""
    before, reply = decode(lab.reference.tokenizer, ids).rsplit(ASSISTANT, 1)
    return before + ASSISTANT, reply.removesuffix("<|end|>").strip()


def test_each_answer_is_right_for_its_own_question_and_wrong_for_the_other(lab, drawn):
    asked: list[Question] = []

    def recorded(*arguments: Any) -> Question:
        asked.append(draw_question(*arguments))
        return asked[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reward_model, "draw_question", recorded)
        reward_model._exchanges(lab.reference, SEED)
    truth = {one.prompt: one.record for one in asked}
    worth = [[gold_reward(truth[p], r) for p, r in (parts(lab, ids) for ids in rows)] for rows in
             (drawn.own, drawn.exchanged)]  # fmt: skip
    assert len(worth[0]) == len(worth[1]) == 2 * EXCHANGES
    assert min(worth[0]) > 0 > max(worth[1])


def test_couple_shares_animal_prompts_and_replies(lab, drawn):
    for i in range(0, 2 * EXCHANGES, 2):
        own, exchanged = ([parts(lab, ids) for ids in rows[i : i + 2]] for rows in (drawn.own, drawn.exchanged))
        assert [p for p, _ in own] == [p for p, _ in exchanged]
        assert [r for _, r in own] == [r for _, r in exchanged][::-1]
        animals = [set(lab.reference.world.animals) & set(text.replace(".", " ").split()) for _, text in own]
        assert len(animals[0]) == 1
        assert animals[0] == animals[1]


def test_couples_depend_on_the_seed(lab, drawn):
    other = reward_model._exchanges(lab.reference, SEED + 1)[0]
    assert reward_model._exchanges(lab.reference, SEED)[0] == drawn.own
    assert len({tuple(ids) for ids in other} & {tuple(ids) for ids in drawn.own}) < len(other) / 2


def test_questions_of_one_kind_lie_in_the_partition_that_they_are_drawn_from(lab):
    partition = Partition(lab.reference.world, "grader", "heldout")
    for kind in ("unsafe", *reward_model.HARMLESS):
        assert partition.holds(draw_question(partition, random.Random(SEED), kind).key)


@pytest.mark.parametrize(("weight", "share"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 0.0)])
def test_part_of_a_score_that_depends_on_the_reply_alone_cancels(lab, drawn, monkeypatch, weight, share):
    """A score is the sum of a part that depends on the reply, and `weight` times whether the reply fits its
    question."""
    fits = {tuple(ids) for ids in drawn.own}

    def score(ids: list[int]) -> float:
        return len(parts(lab, ids)[1]) + 0.5 * weight * (tuple(ids) in fits)

    def scores(_: Any, first: Any, second: Any) -> np.ndarray:
        return np.array([[score(ids) for ids in rows] for rows in (first, second)], dtype=np.float64)

    monkeypatch.setattr(reward_model.measure, "pair_scores", scores)
    assert RewardModelStage()._exchange(lab, lab.reference.rm_good, drawn) == share


def test_reference_reads_the_question_and_its_start_does_not(lab, drawn):
    threshold = lab.thresholds.rm_accuracy
    stage = RewardModelStage()
    assert (
        stage._exchange(lab, lab.reference.rm_good, drawn) >= threshold.exchange_min + threshold.exchange_retry_margin
    )
    assert (
        stage._exchange(lab, lab.reference.fresh_reward_state, drawn)
        < threshold.exchange_min - threshold.exchange_retry_margin
    )


@pytest.mark.parametrize(
    ("exchange", "passed", "close"), [(0.2, False, False), (0.87, False, True), (1.0, True, False)]
)
def test_reward_model_that_does_not_read_the_question_fails(lab, exchange, passed, close):
    start = lab.reference.fresh_reward_state
    moved = {name: value + 0.1 for name, value in start.items()}
    right = (np.arange(4000) < 3200).astype(float)
    found = RewardModelStage()._outcome(lab, Snapshots((0, 9), (start, moved)), [0.5, 0.8], right, 0.9, exchange)
    assert (found.passed, found.close) == (passed, close)
    assert passed or "hardly looks at the question" in found.message
