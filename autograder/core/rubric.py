"""The rubric: from the results of items to points, totals and the verdict, by the registry. It is pure arithmetic.

Amounts are summed as hundredths of a point in Decimal, so that a total is exactly the sum of the rows. An item is

* decided: its points are its share of the maximum, rounded half up to 0.01;
* pending (`needs_review`, `not_gradable`): it has 0 points so far, and its maximum counts as pending;
* or not run (it has no result, as with ``--only``): it is left out of its criterion's items, and its maximum counts as
  pending too, since it is neither earned nor lost.

Hence score + pending + lost = max_score, always. Bonus items follow the same rules and count to none of the four.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from autograder.core.messages import NOT_MEASURED, PENDING
from autograder.core.records import Graded, GradedCriterion, GradedItem, ItemResult, SuccessCriterion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from assignment.registry import CriterionSpec, ItemSpec, Spec

CENT = Decimal("0.01")


def apply_rubric(spec: Spec, results: Mapping[str, ItemResult]) -> Graded:
    """Compute points, totals and the verdict of one submission.

    Args:
        spec: the registry.
        results: the results by item id. An item without a result was not run. A success criterion that no result
            carries was not measured.

    Raises:
        ValueError: an id is unknown, a result is filed under another id, or a share is outside [0, 1].
    """
    _check(spec, results)
    criteria = tuple(_criterion(spec, criterion, results) for criterion in spec.criteria)
    score = _total(criterion.points for criterion in criteria if not criterion.bonus)
    pending = _total(pending_points(criterion) for criterion in criteria if not criterion.bonus)
    success = {id_: results[id_].criterion for id_ in spec.success_criteria if id_ in results}
    measured = tuple(success.get(id_) or SuccessCriterion(id_, None, NOT_MEASURED, "") for id_ in spec.success_criteria)
    return Graded(
        score=float(score),
        pending=float(pending),
        max_score=float(spec.max_points),
        passed=_passed(score, pending, _exact(spec.pass_mark), measured),
        criteria=criteria,
        success_criteria=measured,
    )


def pending_points(criterion: GradedCriterion) -> float:
    """The points of a criterion that are not decided: those of pending items and of items that were not run."""
    decided = _total(item.max_points for item in criterion.items if item.result.status not in PENDING)
    return float(_exact(criterion.max_points) - decided)


def not_run(spec: Spec, graded: Graded) -> tuple[ItemSpec, ...]:
    """The rubric items that this run did not grade, in the registry's order."""
    seen = {item.result.id for criterion in graded.criteria for item in criterion.items}
    return tuple(item for item in spec.item_list if item.id not in seen)


def _criterion(spec: Spec, criterion: CriterionSpec, results: Mapping[str, ItemResult]) -> GradedCriterion:
    items = tuple(
        GradedItem(
            result=results[id_],
            title=spec.items[id_].title,
            points=float(_points(spec.items[id_], results[id_])),
            max_points=float(spec.items[id_].points),
        )
        for id_ in criterion.items
        if id_ in results
    )
    points = float(_total(item.points for item in items))
    return GradedCriterion(criterion.id, criterion.title, points, float(criterion.points), items, criterion.bonus)


def _points(item: ItemSpec, result: ItemResult) -> Decimal:
    if result.status in PENDING:
        return Decimal(0)
    return (_exact(item.points) * _exact(result.share)).quantize(CENT, ROUND_HALF_UP)


def _passed(score: Decimal, pending: Decimal, pass_mark: Decimal, success: Iterable[SuccessCriterion]) -> bool | None:
    """True or False if nothing that is pending can change it, else None.

    Pending points can only be added, and an open success criterion can still be met or not.
    """
    met = [criterion.met for criterion in success]
    if any(m is False for m in met) or score + pending < pass_mark:
        return False
    if score >= pass_mark and all(m is True for m in met):
        return True
    return None


def _check(spec: Spec, results: Mapping[str, ItemResult]) -> None:
    if unknown := set(results) - set(spec.items):
        raise ValueError(f"unknown item: {', '.join(sorted(unknown))}")
    for id_, result in results.items():
        if result.id != id_:
            raise ValueError(f"the result of {result.id} is filed under {id_}")
        if result.criterion is not None and (result.criterion.id != id_ or id_ not in spec.success_criteria):
            raise ValueError(f"{id_} carries the success criterion {result.criterion.id}")
        if not 0.0 <= result.share <= 1.0:  # NaN fails both comparisons
            raise ValueError(f"{result.id}: share {result.share} is outside [0, 1]")


def _exact(value: float) -> Decimal:
    """The decimal number that a float is written as: 0.1 becomes one tenth, not the nearest binary number."""
    return Decimal(repr(float(value)))


def _total(values: Iterable[float]) -> Decimal:
    return sum((_exact(value) for value in values), Decimal(0))
