"""Answers exchanged between two questions: a reward model that does not read the question has no more than chance."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import rlhf_kit as kit
from assignment.lab.prompts import Ask, ask
from assignment.registry import load_spec
from autograder.reference.models import load_reference
from autograder.training import reward_model
from autograder.training.encoding import decode
from autograder.training.reward_model import EXCHANGES, Drawn, RewardModelStage
from autograder.training.stage import Lab
from autograder.training.weights import Trained
from rlhf_kit.gold import gold_reward

SEED = 20265
ASSISTANT = "\n\nAssistant:"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(load_reference(), load_spec(), kit.get_profile("tiny"))


@pytest.fixture(scope="module")
def drawn(lab: Lab) -> Any:
    return Drawn(None, *reward_model._exchanges(lab.reference, SEED))  # type: ignore[arg-type]


def parts(lab: Lab, ids: list[int]) -> tuple[str, str]:
    """Prompt and reply, as text."""
    before, reply = decode(lab.reference.tokenizer, ids).rsplit(ASSISTANT, 1)
    return before + ASSISTANT, reply.removesuffix("<|end|>").strip()


def test_each_answer_is_right_for_its_question_and_wrong_for_the_other(lab, drawn):
    asked: list[Ask] = []

    def remembered(*arguments: Any) -> Ask:
        asked.append(ask(*arguments))
        return asked[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reward_model, "ask", remembered)
        reward_model._exchanges(lab.reference, SEED)
    truth = {one.prompt: one.record for one in asked}
    worth = [[gold_reward(truth[p], r) for p, r in (parts(lab, ids) for ids in rows)] for rows in
             (drawn.own, drawn.exchanged)]  # fmt: skip
    assert len(worth[0]) == len(worth[1]) == 2 * EXCHANGES
    assert min(worth[0]) > 0 > max(worth[1])


def test_a_couple_shares_its_animal_its_prompts_and_its_replies(lab, drawn):
    for i in range(0, 2 * EXCHANGES, 2):
        own, exchanged = ([parts(lab, ids) for ids in rows[i : i + 2]] for rows in (drawn.own, drawn.exchanged))
        assert [p for p, _ in own] == [p for p, _ in exchanged]
        assert [r for _, r in own] == [r for _, r in exchanged][::-1]
        animals = [set(lab.reference.world.animals) & set(text.replace(".", " ").split()) for _, text in own]
        assert len(animals[0]) == 1
        assert animals[0] == animals[1]


def test_couples_differ_with_the_seed_and_lie_in_the_graders_heldout_part(lab, drawn):
    other = reward_model._exchanges(lab.reference, SEED + 1)[0]
    assert reward_model._exchanges(lab.reference, SEED)[0] == drawn.own
    assert len({tuple(ids) for ids in other} & {tuple(ids) for ids in drawn.own}) < len(other) / 2
    some = ask(lab.reference.world, "grader", "heldout", random.Random(SEED), "unsafe")
    assert lab.reference.world.place(some.key) == ("grader", "heldout")


@pytest.mark.parametrize(("weight", "share"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 0.0)])
def test_what_a_score_owes_to_the_reply_alone_cancels(lab, drawn, monkeypatch, weight, share):
    """Scores made of a part for the reply and `weight` times a part for the fit of question and reply."""
    fits = {tuple(ids) for ids in drawn.own}

    def score(ids: list[int]) -> float:
        return len(parts(lab, ids)[1]) + 0.5 * weight * (tuple(ids) in fits)

    def scores(model: Any, first: Any, second: Any) -> np.ndarray:
        return np.array([[score(ids) for ids in rows] for rows in (first, second)], dtype=np.float64)

    monkeypatch.setattr(reward_model.measure, "pair_scores", scores)
    assert RewardModelStage()._reading(lab, lab.reference.rm_good, drawn) == share


def test_the_reference_reads_the_question_and_its_start_does_not(lab, drawn):
    bar = lab.bars.rm_accuracy
    stage = RewardModelStage()
    assert stage._reading(lab, lab.reference.rm_good, drawn) >= bar.exchange_min + bar.exchange_near
    assert stage._reading(lab, lab.reference.fresh_reward_state, drawn) < bar.exchange_min - bar.exchange_near


@pytest.mark.parametrize(("reading", "passed", "near"), [(0.2, False, False), (0.87, False, True), (1.0, True, False)])
def test_a_reward_model_that_does_not_read_the_question_does_not_pass(lab, reading, passed, near):
    start = lab.reference.fresh_reward_state
    moved = {name: value + 0.1 for name, value in start.items()}
    right = (np.arange(4000) < 3200).astype(float)
    found = RewardModelStage()._outcome(lab, Trained((0, 9), (start, moved)), [0.5, 0.8], right, 0.9, reading)
    assert (found.passed, found.near) == (passed, near)
    assert passed or "hardly looks at the question" in found.message
