"""The arithmetic of the rubric is exact, and everything that is not decided counts as pending."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.core.messages import PENDING, STATUS
from autograder.core.records import Graded, ItemResult, SuccessCriterion
from autograder.core.rubric import apply_rubric, not_run, pending_points
from tests.support.report_fixture import SPEC, measured, passing

ITEMS = tuple(SPEC.items)
results_strategy = st.dictionaries(
    st.sampled_from(ITEMS), st.tuples(st.sampled_from(sorted(STATUS)), st.floats(0, 1))
).map(lambda found: {id_: ItemResult(id_, status, share, "") for id_, (status, share) in found.items()})
met_strategy = st.fixed_dictionaries({id_: st.sampled_from([True, False, None]) for id_ in SPEC.success_criteria})


def reference() -> dict[str, ItemResult]:
    """The results of the reference solution: everything passed except the item that a TA grades."""
    written = {i.id: ItemResult(i.id, "needs_review", 0.0, "") for i in SPEC.item_list if i.kind == "written"}
    return {id_: passing(id_) for id_ in ITEMS} | written


def exact(value: float) -> Decimal:
    return Decimal(repr(value))


def test_the_reference_scores_all_but_the_written_points_and_has_passed() -> None:
    graded = apply_rubric(SPEC, measured(reference()))
    written = sum(item.points for item in SPEC.item_list if item.kind == "written")
    assert (graded.score, graded.pending, graded.passed) == (SPEC.max_points - written, written, True)


def test_a_blank_submission_scores_zero_and_has_not_passed() -> None:
    results = {id_: ItemResult(id_, "not_attempted", 0.0, "") for id_ in ITEMS}
    graded = apply_rubric(SPEC, measured(results, dict.fromkeys(SPEC.success_criteria, False)))
    assert (graded.score, graded.pending, graded.passed) == (0.0, 0.0, False)


def test_an_item_that_was_not_run_is_absent_and_its_points_are_pending() -> None:
    graded = apply_rubric(SPEC, {"T07": passing("T07")})
    assert [i.result.id for c in graded.criteria for i in c.items] == ["T07"]
    assert graded.score + graded.pending == SPEC.max_points
    assert len(not_run(SPEC, graded)) == len(ITEMS) - 1
    assert graded.passed is None


def test_a_grader_failure_leaves_passed_open_only_while_it_could_change_it() -> None:
    results = reference()
    results["sft_loss_trend"] = ItemResult("sft_loss_trend", "not_gradable", 0.0, "")
    assert apply_rubric(SPEC, measured(results, {"sft_loss_trend": None})).passed is None
    assert apply_rubric(SPEC, measured(results, {"sft_loss_trend": None, "ppo_kl": False})).passed is False


def test_a_share_of_a_pending_item_earns_nothing_yet() -> None:
    graded = apply_rubric(SPEC, {"T01": ItemResult("T01", "not_gradable", 1.0, "")})
    assert graded.score == 0.0


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="T01"):
        apply_rubric(SPEC, {"T01": ItemResult("T01", "partial", share, "")})


def test_unknown_items_are_refused_and_named() -> None:
    with pytest.raises(ValueError, match="T99"):
        apply_rubric(SPEC, {"T99": passing("T99")})
    with pytest.raises(ValueError, match="lucky"):
        apply_rubric(SPEC, {"T01": replace(passing("T01"), criterion=SuccessCriterion("lucky", True, "", ""))})
    with pytest.raises(ValueError, match="T01"):
        apply_rubric(SPEC, {"T01": replace(passing("T01"), criterion=SuccessCriterion("T01", True, "", ""))})


def test_a_result_filed_under_another_id_is_refused() -> None:
    with pytest.raises(ValueError, match="T01"):
        apply_rubric(SPEC, {"T02": passing("T01")})
    with pytest.raises(ValueError, match="T03"):
        apply_rubric(SPEC, measured({"ppo_kl": passing("T03")}))


def test_thirds_are_rounded_to_hundredths_half_up() -> None:
    def earned(share: float) -> float:
        return apply_rubric(SPEC, {"T04": ItemResult("T04", "partial", share, "")}).score

    assert SPEC.items["T04"].points == 3
    assert (earned(1 / 3), earned(1 / 9), earned(0.335), earned(0.115)) == (1.0, 0.33, 1.01, 0.35)


@given(results_strategy, met_strategy)
def test_totals_are_exactly_the_sums_of_their_rows(results: dict[str, ItemResult], met: dict[str, bool | None]) -> None:
    graded = apply_rubric(SPEC, measured(results, met))
    for criterion in graded.criteria:
        assert exact(criterion.points) == sum((exact(i.points) for i in criterion.items), Decimal(0))
    assert exact(graded.score) == sum((exact(c.points) for c in graded.criteria), Decimal(0))
    assert exact(graded.pending) == sum((exact(pending_points(c)) for c in graded.criteria), Decimal(0))


@given(results_strategy, met_strategy)
def test_score_pending_and_lost_add_up_to_the_maximum(
    results: dict[str, ItemResult], met: dict[str, bool | None]
) -> None:
    graded = apply_rubric(SPEC, measured(results, met))
    decided = [i for c in graded.criteria for i in c.items if i.result.status not in PENDING]
    lost = sum((exact(i.max_points) - exact(i.points) for i in decided), Decimal(0))
    assert exact(graded.score) + exact(graded.pending) + lost == exact(graded.max_score)


@given(results_strategy, met_strategy)
def test_the_verdict_is_open_exactly_when_its_best_and_worst_outcomes_differ(
    results: dict[str, ItemResult], met: dict[str, bool | None]
) -> None:
    """What is pending is decided once for and once against the student: the verdict is what both have in common."""
    graded = apply_rubric(SPEC, measured(results, met))
    best, worst = _decided(results, met, True), _decided(results, met, False)
    assert best.pending == worst.pending == 0
    assert graded.passed == (best.passed if best.passed == worst.passed else None)


@given(results_strategy, st.sampled_from(ITEMS), st.floats(0, 1))
def test_a_better_answer_never_lowers_the_score(results: dict[str, ItemResult], item_id: str, share: float) -> None:
    worse = ItemResult(item_id, "partial", share, "")
    better = replace(worse, share=min(1.0, share + 0.1))
    low = apply_rubric(SPEC, results | {item_id: worse})
    assert low.score <= apply_rubric(SPEC, results | {item_id: better}).score


def _decided(results: dict[str, ItemResult], met: dict[str, bool | None], kindly: bool) -> Graded:
    open_items = [id_ for id_ in ITEMS if id_ not in results or results[id_].status in PENDING]
    verdicts = {id_: ItemResult(id_, "partial", float(kindly), "") for id_ in open_items}
    decided = {id_: kindly if value is None or id_ not in results else value for id_, value in met.items()}
    return apply_rubric(SPEC, measured(results | verdicts, decided))
