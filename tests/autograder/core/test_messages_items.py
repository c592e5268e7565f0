"""What students read about training, quality and written items: three parts for every status, and nothing hidden."""

from __future__ import annotations

import re
from string import Formatter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import pytest

from autograder.context import GradingContext
from autograder.core.failures import GraderFailure, not_gradable
from autograder.core.messages import STATUS, seen_part
from autograder.core.progress import GradingProgress
from autograder.core.records import Answers, ItemResult, Status
from autograder.core.rubric import apply_rubric
from autograder.core.selection import select
from autograder.grading.written import collect_written_answers
from autograder.quality.checks import RULES, SHOWN, quality_results
from autograder.report.feedback import feedback_page
from autograder.report.gradescope import results_dict
from autograder.slots import verdicts
from autograder.training import comparison, messages, run, verdict, weights
from autograder.training.outcome import Failure, Outcome, UnusableError
from autograder.training.stage import require_finite
from tests.support.report_fixture import bundle
from tests.support.slot_runs import SPEC, reply, submission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STUDENT, SEED, UNTOLD = "MyOwnSecretText", 987654321, 0.1234321
BARS = SPEC.thresholds(SPEC.profiles[0])
TEMPLATES: dict[str, Mapping[str, str]] = {
    "sft_loss_trend": messages.SFT, "rm_accuracy": messages.REWARD_MODEL, "ppo_reward": messages.PPO_REWARD,
    "ppo_kl": messages.PPO_KL, "comparison": messages.COMPARISON,
}  # fmt: skip
# What a message may quote: measured values, and thresholds that the feedback shows with the success criteria.
QUOTED: dict[str, Any] = dict.fromkeys(
    ("start", "end", "ratio", "threshold", "accuracy", "low", "high", "before", "after", "gain", "kl"), 1.0
)
QUOTED |= {"n": 3, "fields": "n, win_rate", "names": "Base"}
EVIDENCE = {"seed": SEED, "p": UNTOLD, "style": UNTOLD, "traceback": STUDENT, "generations": [{"sft": STUDENT}]}
STAGES = {item: stage for stage in run.STAGES for item in stage.items}
PARTS = re.compile(r"Asked: (?P<asked>.+?) Seen: (?P<seen>.+?) Try: (?P<tip>.+[.?])")


def of_training(item: str) -> Iterator[ItemResult]:
    """Every outcome and every failure of a training item, with evidence that only a TA may see."""
    found: list[Outcome | Failure] = []
    for which, template in TEMPLATES[item].items():
        shares = (0.0, 0.5) if which == "fields" else (float(which == "passed"),)
        text = template.format(**QUOTED)
        found += [Outcome(which == "passed", False, share, text, "value", EVIDENCE) for share in shares]
    lab: Any = SimpleNamespace(spec=SPEC)
    for kind in run.FAILURES:
        data = {"_slot": STUDENT, "_traceback": STUDENT, "_output": STUDENT}
        for error in (STUDENT, f"NameError: name '{STUDENT}' is not defined"):
            found.append(run.failure_of(lab, STAGES[item], reply(kind, data, error), SEED))
    for state in ("blank", "missing", "broken"):
        found.append(not_run(item, submission(states={str(SPEC.items[item].loop): state}), {}))
    timeout = ItemResult(str(SPEC.items[item].loop), "timeout", 0.0, STUDENT)
    found.append(not_run(item, submission(), {timeout.id: timeout}))
    found += [Failure("wrong", str(error), EVIDENCE) for error in unusable()]
    found.append(Failure.of_grader(GraderFailure(STUDENT)))
    yield from (verdict.item_result(SPEC, BARS, item, one) for one in found)


def not_run(item: str, answers: Answers, results: Mapping[str, ItemResult]) -> Failure:
    failure = verdict.not_run(SPEC, item, answers, results)
    assert failure is not None
    return failure


def unusable() -> Iterator[UnusableError]:
    """Why what came back cannot be measured."""
    yield UnusableError(*weights.NOT_FINITE)
    with pytest.raises(UnusableError) as caught:
        require_finite("losses", float("nan"))
    yield caught.value
    with pytest.raises(UnusableError) as caught:
        comparison.read_rows({"names": STUDENT}, {}, 1, 1, 1)
    yield caught.value


def of_quality(item: str) -> Iterator[ItemResult]:
    """A clean submission, part of one, nothing, no sandbox, findings of every rule, and findings everywhere."""

    def findings(*rules: str, where: Iterable[str] = ("T07",)) -> Any:
        return lambda _: [{"where": w, "rule": r, "line": 1, "error": STUDENT} for w in where for r in rules]

    blank = {slot.id: "blank" for slot in SPEC.slots}
    some = {slot: state for slot, state in blank.items() if slot != "T07"}
    cases = [(submission(), findings()), (submission(states=blank), findings()), (submission(states=some), findings()),
             (submission(), None)]  # fmt: skip
    if item == "quality_imports":
        rules = list(RULES)  # a message spells out SHOWN of its findings
        cases += [(submission(), findings(*rules[i : i + SHOWN])) for i in range(0, len(rules), SHOWN)]
        cases += [(submission(), findings("import", where=[*blank, "helpers"]))]
    untidy = {slot.id: f"{FLAWS[item].format(name=slot.name)}\n" for slot in SPEC.slots}
    cases += [(submission(untidy), findings())] if FLAWS[item] else []
    yield from (quality_results(answers, SPEC, run_)[item] for answers, run_ in cases)


FLAWS = {
    "quality_imports": "", "quality_lint": f"def {{name}}():\n    {STUDENT} = 1",
    "quality_docs": f"def {{name}}():\n    return '{STUDENT}'",
    "quality_leftovers": f"def {{name}}():\n    breakpoint()  # {STUDENT}",
}  # fmt: skip


def of_written(item: str) -> Iterator[ItemResult]:
    blank = Answers("", submission(states={slot.id: "blank" for slot in SPEC.slots}).slots)
    for answers in (blank, submission(), Answers("", submission().slots, dict.fromkeys(SPEC.written, STUDENT))):
        run_ = GradingContext(SPEC, answers, select(SPEC, [item]), "tiny", "cpu", SEED, GradingProgress(quiet=True))
        yield from collect_written_answers(run_, {}).values()
    yield not_gradable(item, GraderFailure(STUDENT))


RENDER = {"training": of_training, "quality": of_quality, "written": of_written}
ITEMS = [(item.id, item.kind) for item in SPEC.item_list if item.kind in RENDER]
RUN_STATUSES = {"passed", "wrong", "not_attempted", "crashed", "timeout", "out_of_memory", "not_gradable"}
STATUSES = {
    "training": RUN_STATUSES, "quality": {"passed", "partial", "wrong", "not_attempted", "not_gradable"},
    "written": {"not_attempted", "needs_review", "not_gradable"},
}  # fmt: skip


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[ItemResult]]:
    """All results by item."""
    return {item: list(RENDER[kind](item)) for item, kind in ITEMS}


@pytest.mark.parametrize(("item", "kind"), ITEMS)
def test_every_status_of_every_item_is_rendered(item, kind, rendered):
    missing = STATUSES[kind] | ({"partial"} if item == "comparison" else set())
    missing -= {"wrong", "not_gradable"} if item in ("quality_docs", "quality_lint", "quality_leftovers") else set()
    assert {result.status for result in rendered[item]} >= missing
    assert missing <= set(get_args(Status))


@pytest.mark.parametrize(("item", "kind"), ITEMS)
def test_what_did_not_pass_reads_what_was_asked_what_was_seen_and_what_to_try(item, kind, rendered):
    for result in rendered[item]:
        if result.status in ("passed", "needs_review", "not_gradable"):
            assert re.fullmatch(r"[A-Z0-9][^\n{}]+\.", result.message)
            continue
        parts = PARTS.fullmatch(result.message)
        assert parts, result.message
        asked = " ".join(SPEC.written.values()) if kind == "written" else SPEC.items[item].title
        assert parts["asked"].startswith(asked)
        assert seen_part(result.message) == parts["seen"] != ""
        assert "{" not in result.message


@pytest.mark.parametrize("item", TEMPLATES)
def test_templates_quote_only_measured_numbers_and_public_thresholds(item):
    fields = {name for text in TEMPLATES[item].values() for _, name, _, _ in Formatter().parse(text) if name}
    assert fields <= set(QUOTED)


@pytest.mark.parametrize("item", [item for item, _ in ITEMS])
def test_nothing_hidden_and_no_student_s_text_reaches_what_students_read(item, rendered):
    """The messages and the two files for students are searched; the evidence holds what only a TA may see."""
    for result in rendered[item]:
        given = bundle(graded=apply_rubric(SPEC, {item: result}))
        shown = [result.message, str(result.misconception), str(results_dict(given)), feedback_page(given)]
        for text in shown:
            assert not [hidden for hidden in (STUDENT, str(SEED), str(UNTOLD), "rlhf-lab grade") if hidden in text]


def test_a_stage_can_fail_in_every_way_that_a_call_can():
    assert set(run.FAILURES) == set(verdicts.BY_KIND)


def test_a_message_without_parts_is_returned_whole():
    assert [seen_part(text) for text in ("", STATUS["passed"].sentence)] == ["", STATUS["passed"].sentence]
