"""The code-quality items as a step of a grading run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.context import GradingContext, grading_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.core.records import ItemResult


@grading_step("quality")
def check_quality(run: GradingContext, results: Mapping[str, ItemResult]) -> dict[str, ItemResult]:
    """Grade the selected items of code quality. results: those of the slots are used."""
    items = run.selection.of("quality")
    if not items:
        return {}
    from autograder.quality.checks import definitions_runner, quality_results

    step = run.progress.start("code quality")
    definitions = definitions_runner(run.session, run.spec, results) if run.session is not None else None
    found = quality_results(run.answers, run.spec, definitions)
    step.done()
    return {item: found[item] for item in items}
