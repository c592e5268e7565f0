"""Training tests from code to verdict on a model of one layer: what is replaced, what passes, and the messages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assignment.registry import load_spec
from assignment.release.source import reference_source
from autograder.core.records import Answer
from autograder.programs.replacement import replacement
from autograder.sandbox import Reply
from autograder.training import data, run, verdict
from autograder.training.comparison import ComparisonStage
from autograder.training.outcome import Failure, Outcome
from autograder.training.ppo import PPOStage
from autograder.training.reward_model import RewardModelStage
from autograder.training.sft import SFTStage
from tests.support.small_lab import LocalSession, all_passed, reference_answers, small_lab

SEED = 3
NO_STEP = reference_source("T05").replace("optimizer.step()", "None")
WRONG_LOSS = "def sft_loss(logits, labels):\n    return logits.sum() * float('nan')\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return small_lab(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    for name, rows in (("DEMONSTRATIONS", 160), ("PREFERENCES", 120), ("TRAIN_PROMPTS", 60)):
        monkeypatch.setattr(data, name, rows)


def outcome(lab, stage, *, answers=None, results=None, session=None):
    answers, results = answers or reference_answers(), results or all_passed()
    code = run.code_for(stage, lab.spec, answers, results)
    return run.decide(session or LocalSession(), run.StageRun(lab, stage, code, SEED))


def passing(value: str, *, passed: bool, close: bool = False) -> dict[str, Outcome]:
    return {"sft_loss_trend": Outcome(passed, close, float(passed), "text.", value)}


@pytest.mark.parametrize("stage", run.STAGES, ids=lambda stage: stage.op)
def test_same_seed_gives_the_same_outcome(lab, stage):
    first, again = outcome(lab, stage), outcome(lab, stage)
    assert not isinstance(first, Failure), first
    assert first == again
    assert set(first) == set(stage.items)


@pytest.mark.parametrize("stage", [SFTStage(), RewardModelStage(), ComparisonStage()], ids=lambda stage: stage.op)
def test_reference_passes(lab, stage):
    found = outcome(lab, stage)
    assert not isinstance(found, Failure), found
    assert {item: one.status for item, one in found.items()} == dict.fromkeys(stage.items, "passed")


def test_data_depend_on_the_seed_alone(lab):
    stage = SFTStage()
    assert stage.draw(lab, 1).rows != stage.draw(lab, 2).rows
    assert stage.draw(lab, 1) == stage.draw(lab, 1)


def test_every_stage_that_trains_shows_a_curve_of_at_least_five_points(lab):
    for stage in (SFTStage(), RewardModelStage(), PPOStage()):
        curve = outcome(lab, stage)[stage.items[0]].evidence["curve"]
        assert len(curve["steps"]) >= 5
        assert {len(values) for values in curve.values()} == {len(curve["steps"])}


def test_loop_without_updates_fails_with_a_message_that_says_why(lab):
    found = outcome(lab, SFTStage(), answers=reference_answers(T05=NO_STEP), results=all_passed(T05="wrong"))
    one = found["sft_loss_trend"]
    assert one.status == "wrong"
    assert "left the weights as they were" in one.message


def test_nan_weights_fail(lab):
    results = all_passed(T04="passed")
    found = outcome(lab, SFTStage(), answers=reference_answers(T04=WRONG_LOSS), results=results)
    assert isinstance(found, Failure)
    assert found.status == "wrong"
    assert "NaN" in found.message


def test_slot_that_failed_its_own_test_is_replaced_and_the_stage_passes(lab):
    answers, results = reference_answers(T04=WRONG_LOSS), all_passed(T04="wrong")
    code = run.code_for(SFTStage(), lab.spec, answers, results)
    assert code.replaced == ("T04",)
    assert not code.all_passed
    assert outcome(lab, SFTStage(), answers=answers, results=results)["sft_loss_trend"].passed


def test_loop_under_test_is_never_replaced(lab):
    results = all_passed(T05="wrong")
    assert run.code_for(SFTStage(), lab.spec, reference_answers(), results).replaced == ()


def test_failed_slot_that_the_loop_calls_is_replaced_although_it_is_outside_the_stage(lab):
    results = all_passed(T10="wrong")
    assert run.code_for(ComparisonStage(), lab.spec, reference_answers(), results).replaced == ("T10",)
    assert run.code_for(SFTStage(), lab.spec, reference_answers(), results).replaced == ()


def test_message_of_a_crash_names_the_slot_and_leaves_the_exception_to_the_ta(lab):
    source = "def train_sft(model, batches, config, on_step=None):\n    raise ValueError('<secret>')\n"
    found = outcome(lab, SFTStage(), answers=reference_answers(T05=source))
    assert (found.status, "train_sft (T05)" in found.message) == ("crashed", True)
    assert "<secret>" not in found.message
    assert "<secret>" in found.evidence["error"]


def test_placeholder_in_the_loop_is_not_attempted(lab):
    source = "def train_sft(model, batches, config, on_step=None):\n    raise NotImplementedError('T05')\n"
    assert outcome(lab, SFTStage(), answers=reference_answers(T05=source)).status == "not_attempted"


def test_weights_of_another_architecture_fail_with_a_reason(lab):
    source = reference_source("T05").replace(
        "    losses: list[float] = []", "    model.extra = nn.Linear(2, 2)\n    losses: list[float] = []"
    )
    found = outcome(lab, SFTStage(), answers=reference_answers(T05=source))
    assert found.status == "wrong"
    assert "names and shapes" in found.message


@pytest.mark.parametrize(
    ("state", "status"), [("blank", "not_attempted"), ("missing", "not_attempted"), ("broken", "crashed")]
)
def test_stage_without_its_loop_is_not_run(lab, state, status):
    answers = reference_answers()
    answers = replace(answers, slots={**answers.slots, "T09": Answer("T09", state)})
    found = verdict.not_run(lab.spec, "rm_accuracy", answers, all_passed(T09=status))
    assert found is not None
    assert (found.status, "T09" in found.message) == (status, True)
    assert verdict.not_run(lab.spec, "sft_loss_trend", answers, all_passed()) is None


def test_loop_that_timed_out_in_its_own_test_is_not_run_again(lab):
    found = verdict.not_run(lab.spec, "sft_loss_trend", reference_answers(), all_passed(T05="timeout"))
    assert found is not None
    assert found.status == "timeout"


@pytest.mark.parametrize("kind", ["timeout", "out_of_memory", "invalid", "crashed"])
def test_every_failure_has_a_message_without_text_of_the_student(lab, kind):
    class Dead:
        def call(self, *_args, **_options):
            return Reply(False, kind, {"_output": "printed"}, error="own words")

    found = outcome(lab, PPOStage(), session=Dead())
    assert isinstance(found, Failure)
    assert found.message
    assert "own words" not in found.message
    assert found.evidence["output"] == "printed"


@pytest.mark.parametrize(("again", "passed"), [([True, True], True), ([True, False], False), ([False, False], False)])
def test_miss_within_the_retry_margin_is_decided_by_the_majority_of_three_runs(lab, monkeypatch, again, passed):
    outcomes = [passing("first", passed=False, close=True), *(passing(f"run {p}", passed=p) for p in again)]
    seeds = []

    def fake(_session, stage_run):
        seeds.append(stage_run.seed)
        return outcomes[len(seeds) - 1]

    monkeypatch.setattr(run, "run_stage", fake)
    found = outcome(lab, SFTStage())["sft_loss_trend"]
    assert found.passed is passed
    assert len(set(seeds)) == 3
    assert "majority of 3 runs" in found.message


def test_miss_within_the_retry_margin_is_not_run_again_if_a_slot_was_replaced(lab, monkeypatch):
    calls = []

    def fake(*_args, **_options):
        calls.append(1)
        return passing("first", passed=False, close=True)

    monkeypatch.setattr(run, "run_stage", fake)
    found = outcome(lab, SFTStage(), results=all_passed(T04="wrong"))["sft_loss_trend"]
    assert (found.passed, len(calls)) == (False, 1)


def test_results_hold_value_and_threshold_of_success_criteria(lab):
    stage = PPOStage()
    found = outcome(lab, stage)
    assert set(found) == {"ppo_reward", "ppo_kl"}
    assert verdict.item_result(lab.spec, lab.thresholds, "ppo_reward", found["ppo_reward"], ("T11",)).replaced == (
        "T11",
    )
    criterion = verdict.item_result(lab.spec, lab.thresholds, "ppo_kl", found["ppo_kl"]).criterion
    assert criterion is not None
    assert criterion.threshold == "0 to 12 nats per sequence, this run's reward learned"
    assert "nats per sequence" in criterion.value


@pytest.mark.parametrize(("status", "met"), [("not_gradable", None), ("crashed", False), ("not_attempted", False)])
def test_only_an_error_of_the_grader_leaves_a_criterion_undecided(lab, status, met):
    found = Failure(status, "text")
    result = verdict.item_result(lab.spec, lab.thresholds, "sft_loss_trend", found)
    assert result.criterion is not None
    assert result.criterion.met is met
    assert result.share == 0.0


def test_cache_key_depends_on_code_and_seed(lab):
    stage, answers = SFTStage(), reference_answers()
    code = run.code_for(stage, lab.spec, answers, all_passed())
    other = run.code_for(stage, lab.spec, reference_answers(T04=WRONG_LOSS), all_passed())
    keys = {run.cache_key(lab, stage, c, seed) for c in (code, other) for seed in (1, 2)}
    assert len(keys) == 4
    assert run.cache_key(lab, stage, code, 1) in keys


@pytest.mark.parametrize("slot", [slot.id for slot in load_spec().slots])
def test_replacement_defines_its_slot_and_no_helper(slot):
    from autograder.inside.namespace import Namespace

    spec = load_spec()
    name = spec.slot(slot).name
    space = Namespace({"prelude": "HUMAN = 'mine'", "slots": {slot: replacement(spec, slot)}, "names": {slot: name}})
    assert space.errors == []
    assert callable(space.get(name))
    assert space.globals["HUMAN"] == "mine"
    added = {n for n in space.globals if not n.startswith("__")} - {"HUMAN", "get_ipython", "grader", "display"}
    assert added - {"annotations"} == {name, f"_reference_{slot}"}
