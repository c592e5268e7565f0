"""Code quality as a step of a grading run."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.context import GradingContext, grading_step
from autograder.core.records import ItemResult


@grading_step("quality")
def check_quality(run: GradingContext, results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Results of the selected items of code quality. results: those of the slots are used."""
    items = run.selection.of("quality")
    if not items:
        return {}
    from autograder.quality.checks import definitions_in, judge_quality

    step = run.progress.start("code quality")
    definitions = definitions_in(run.session, run.spec, results) if run.session is not None else None
    found = judge_quality(run.answers, run.spec, definitions)
    step.done()
    return {item: found[item] for item in items}
