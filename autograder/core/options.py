"""The options of a grading run, and their validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograder.core.selection import Selection, select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assignment.registry import Spec

SEED_BITS = 31
TIERS = (1, 2, 3)  # the tiers of sandboxes that isolate; tier 0 is UNSAFE


class OptionError(ValueError):
    """An option cannot be met. The message says what to choose instead."""


@dataclass(frozen=True)
class Options:
    """The options of a grading run.

    profile: a profile of the registry. device: "auto", "cpu" or "cuda". seed: None draws one. only: the rubric items to
    grade; empty means all. require_tier: the weakest sandbox tier to accept; None accepts any that isolates. unsafe:
    grade without a sandbox if none works.
    """

    profile: str = "tiny"
    device: str = "auto"
    seed: int | None = None
    only: tuple[str, ...] = ()
    require_tier: int | None = None
    unsafe: bool = False


def selection_of(spec: Spec, options: Options) -> Selection:
    """Select the items to grade. Raises OptionError for an option that this registry or grader does not have."""
    for problem in _problems(spec, options):
        raise OptionError(problem)
    return select(spec, options.only)


def _problems(spec: Spec, options: Options) -> Iterator[str]:
    if options.profile not in spec.profiles:
        yield f"This release grades the profile {', '.join(spec.profiles)} only, not {options.profile}."
    if unknown := [item for item in options.only if item not in spec.items]:
        yield f"No item called {', '.join(unknown)}; there are: {', '.join(spec.items)}."
    if options.seed is not None and not 0 <= options.seed < 1 << SEED_BITS:
        yield f"The seed is a number from 0 to {(1 << SEED_BITS) - 1}."
    if options.require_tier is not None and options.require_tier not in TIERS:
        yield "A required tier is 1 (isolated), 2 (isolated, soft memory) or 3 (restricted)."
    if options.require_tier is not None and options.unsafe:
        yield "A required tier and --unsafe contradict each other: give one of the two."
