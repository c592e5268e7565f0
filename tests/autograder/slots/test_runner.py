"""Slot tests with the worker's drivers in this process: statuses, replacement, messages, evidence."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from autograder.core.records import Answer
from autograder.programs.dependencies import SlotDependencies
from autograder.slots.misconceptions import load_library
from autograder.slots.runner import run_hidden_tests
from autograder.slots.verdicts import from_state
from tests.support.slot_runs import SLOTS, SPEC, LocalSession, submission

LIBRARY = load_library()
BY_ID = {mistake.id: mistake for mistakes in LIBRARY.mistakes.values() for mistake in mistakes}


def verdicts(answers, only=None, session=None, seed=3, **options):
    return run_hidden_tests(session or LocalSession(), answers, SPEC, seed, only, **options)


def test_right_answers_pass_in_all_slots_and_each_is_reported_once():
    seen: list[str] = []
    results = verdicts(submission(), on_slot=seen.append)
    assert {slot: r.status for slot, r in results.items()} == dict.fromkeys(SLOTS, "passed")
    assert all(r.share == 1 and r.replaced == () for r in results.values())
    assert sorted(seen) == sorted(SLOTS)


def test_a_blank_notebook_is_not_attempted_and_nothing_is_run():
    session = LocalSession()
    results = verdicts(submission(states=dict.fromkeys(SLOTS, "blank")), session=session)
    assert {r.status for r in results.values()} == {"not_attempted"}
    assert session.calls == []


@pytest.mark.parametrize(
    ("state", "status"), [("blank", "not_attempted"), ("missing", "not_attempted"), ("broken", "crashed")]
)
def test_states_of_the_extraction_become_statuses(state, status):
    answer = Answer("T07", state, problem="Rename it." if state != "blank" else "")
    result = from_state(answer)
    assert result is not None
    assert (result.status, result.share) == (status, 0.0)
    assert result.message


@pytest.mark.parametrize("id_", ["S04", "P09", "R05", "K19", "D05"])
def test_a_mistake_in_a_leaf_costs_its_own_slot_and_is_named(id_):
    mistake = BY_ID[id_]
    results = verdicts(submission({mistake.slot: mistake.source}))
    assert [slot for slot, r in results.items() if r.status != "passed"] == [mistake.slot]
    assert results[mistake.slot].misconception == {"id": id_, "name": mistake.name, "sentence": mistake.sentence}


def test_mistakes_in_leaves_are_replaced_in_the_loops_that_call_them():
    wrong = {BY_ID[id_].slot: BY_ID[id_].source for id_ in ("S04", "R01", "K02", "P16")}
    results = verdicts(submission(wrong))
    assert [slot for slot, r in results.items() if r.status != "passed"] == ["T04", "T07", "T10", "T12"]
    assert (results["T05"].replaced, results["T09"].replaced) == (("T04",), ("T07",))
    assert results["T14"].replaced == ("T10", "T12")
    assert results["T15"].replaced == ("T10",)


def test_a_missing_leaf_is_replaced_too():
    results = verdicts(submission(states={"T07": "missing"}), ["T09"])
    assert results["T09"].status == "passed"
    assert results["T09"].replaced == ("T07",)


def test_a_leaf_that_calls_a_later_leaf_does_not_pay_for_it():
    calls = """
def sft_loss(logits, labels):
    labels = labels[:, 1:]
    keep = labels != -100
    logp = token_logprobs(logits[:, :-1], labels.clamp(min=0))
    return -(logp * keep).sum() / keep.sum().clamp(min=1)
"""
    results = verdicts(submission({"T04": calls, "T10": BY_ID["K02"].source}), ["T04", "T10", "T05"])
    assert {slot: r.status for slot, r in results.items()} == {"T04": "passed", "T05": "passed", "T10": "wrong"}
    assert results["T04"].replaced == ("T10",)


def test_a_helper_of_the_prelude_is_followed_to_the_slots_it_calls():
    helpers = "\ndef mean_logp(logits, tokens):\n    return token_logprobs(logits, tokens).mean()\n"
    helpers += "\ndef other():\n    gae()\n"
    answers = submission({"T04": "def sft_loss(a, b):\n    return mean_logp(a, b)\n"}, helpers=helpers)
    assert SlotDependencies.of(answers, SPEC).below("T04") == {"T10"}


BORROWED = {  # answers that call another slot, whose reference would give the right answer
    "T05": "def train_sft(model, batches, config, on_step=None):\n"
           "    return train_reward_model(model, batches, config, on_step)\n",
    "T07": "def bradley_terry_loss(chosen, rejected, margin=0.0):\n    return sft_loss(chosen, rejected)\n",
    "T10": "def token_logprobs(logits, tokens):\n    return -sft_loss(logits, tokens)\n",
}  # fmt: skip


@pytest.mark.parametrize(("slot", "other"), [("T05", "T09"), ("T07", "T04"), ("T10", "T04")])
@pytest.mark.parametrize("state", ["blank", "present"])
def test_the_reference_of_a_slot_that_the_registry_does_not_let_call_is_never_sent(slot, other, state):
    wrong = {other: f"def {SPEC.slot(other).name}(*args):\n    return 0\n"}
    changes, states = {slot: BORROWED[slot]}, {}
    if state == "blank":
        states = {other: "blank"}
    else:
        changes |= wrong
    session = LocalSession()
    result = verdicts(submission(changes, states), [slot], session)[slot]
    assert (result.share, result.replaced) == (0.0, ())
    assert all("_reference_" not in source for call in session.calls for source in call["code"]["slots"].values())


def test_forged_rollouts_of_uneven_length_are_wrong_and_cost_no_memory():
    from tests.support.slot_runs import reply

    rolled = [{"prompts": [[2]] * 5000, "replies": [[2] * 5000] + [[2]] * 4999, "updates": 0}]

    class Odd(LocalSession):
        def call(self, _op, payload, _tensors, **_):
            values = {"rolled": rolled, "updates": 1, "stats": 3, "callbacks": []}
            return reply("answered", {"cases": [{"values": values, "error": None} for _ in payload["cases"]]})

    tracemalloc.start()
    result = verdicts(submission(), ["T14"], Odd())["T14"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.status == "wrong"
    assert peak < 100 << 20  # laid out side by side they would need 200 MB and more, several times


def test_a_wrong_gradient_with_right_values_earns_the_stated_part():
    result = verdicts(submission({"T10": BY_ID["K25"].source}), ["T10"])["T10"]
    assert (result.status, result.share) == ("partial", SPEC.partial.gradient)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("timeout", "timeout"), ("out_of_memory", "out_of_memory"), ("crashed", "crashed"), ("invalid", "wrong"),
     ("not_attempted", "not_attempted"), ("something new", "crashed")],
)  # fmt: skip
def test_kinds_of_replies_become_statuses_of_that_slot_alone(kind, status):
    session = LocalSession()
    session.kinds["T08"] = kind
    results = verdicts(submission(), ["T08", "T07"], session)
    assert (results["T08"].status, results["T07"].status) == (status, "passed")


def test_an_exception_in_a_slot_is_a_crash_with_a_traceback_for_the_ta_only():
    source = "def preference_accuracy(a, b):\n    raise KeyError('my secret text')\n"
    result = verdicts(submission({"T08": source}), ["T08"])["T08"]
    assert result.status == "crashed"
    assert "KeyError" in result.message
    assert "secret" not in result.message
    assert "my secret text" in result.evidence["traceback"]


@pytest.mark.parametrize("ending", ["exit()", "raise SystemExit(0)", "return None", "raise NotImplementedError('T08')"])
def test_exits_and_placeholders_end_their_own_slot_only(ending):
    source = f"def preference_accuracy(a, b):\n    {ending}\n"
    result = verdicts(submission({"T08": source}), ["T08"])["T08"]
    assert result.status == ("crashed" if "xit" in ending else "not_attempted")


def test_a_failure_of_the_sandbox_is_a_grader_error_and_costs_nothing():
    class Broken(LocalSession):
        def call(self, *_, **__):
            raise RuntimeError("no worker")

    assert verdicts(submission(), ["T07"], Broken())["T07"].status == "not_gradable"


@pytest.mark.parametrize("data", [{}, {"cases": 3}, {"cases": [{}] * 5}, {"cases": [{"values": 1, "error": None}] * 5}])
def test_a_reply_of_the_wrong_form_is_a_wrong_answer(data):
    from tests.support.slot_runs import reply

    class Odd(LocalSession):
        def call(self, *_, **__):
            return reply("answered", data)

    assert verdicts(submission(), ["T07"], Odd())["T07"].status == "wrong"


def test_only_the_wanted_slots_are_returned_although_others_are_needed():
    assert list(verdicts(submission(), ["T14"])) == ["T14"]


def test_evidence_holds_what_a_ta_needs_to_repeat_the_item():
    evidence = verdicts(submission({"T07": BY_ID["R03"].source}), ["T07"], seed=12)["T07"].evidence
    assert evidence["seed"] == 12
    assert {"about", "check", "max_error", "tolerance"} <= set(evidence["residuals"][0])


def test_messages_hold_no_number_of_the_hidden_inputs():
    ids = ("D15", "D04", "D08", "S05", "R06", "R03", "R04", "K04", "K20", "P19", "P10")
    wrong = {BY_ID[id_].slot: BY_ID[id_].source for id_ in ids}
    for slot, result in verdicts(submission(wrong), sorted(wrong)).items():
        assert result.status == "wrong", slot
        assert not re.search(r"\d\.\d{3}|\d{4}", result.message)
        assert result.message.startswith("Asked: ")
        assert "Seen: On " in result.message


def test_the_same_seed_gives_the_same_verdict_and_evidence():
    answers = submission({"T12": BY_ID["P17"].source})
    first, second = (verdicts(answers, ["T12"], seed=9)["T12"] for _ in range(2))
    assert first == second


def test_the_worker_is_sent_only_the_slots_that_take_part():
    session = LocalSession()
    verdicts(submission(), ["T05"], session)
    assert [sorted(call["code"]["slots"]) for call in session.calls] == [["T04"], ["T04", "T05"]]


@pytest.mark.parametrize(("slot", "kind"), [("T07", "slot"), ("T14", "loop_slot")])
def test_limits_come_from_the_registry(slot, kind):
    limits = []

    class Noted(LocalSession):
        def call(self, op, payload, tensors, **options):
            limits.append(options["limits"])
            return super().call(op, payload, tensors, **options)

    verdicts(submission(), [slot], Noted())
    assert {limit.wall_s for limit in limits[-1:]} == {SPEC.limits.for_item(kind, slot).wall_s}


def test_a_malformed_answer_is_wrong_and_no_grader_error():
    from tests.support.slot_runs import reply

    class Odd(LocalSession):
        def call(self, _op, payload, _tensors, **_):
            values = {"rolled": [{"prompts": [[99]], "replies": "x", "updates": {}}], "updates": -3, "stats": None}
            return reply("answered", {"cases": [{"values": values, "error": None} for _ in payload["cases"]]})

    results = verdicts(submission(), SLOTS, Odd())
    assert {r.status for r in results.values()} <= {"wrong"}
