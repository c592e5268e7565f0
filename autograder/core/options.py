"""What a user may ask of a grading run, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assignment.registry import Spec
from autograder.core.selection import Selection, select

SEED_BITS = 31
TIERS = (1, 2, 3)  # of sandboxes that isolate; 0 is the UNSAFE one


class OptionError(ValueError):
    """An option of the run cannot be met; the message says what to choose instead."""


@dataclass(frozen=True)
class Options:
    """profile: of the registry. device: "auto", "cpu" or "cuda". seed: None draws one. only: rubric items.
    require_tier: the worst sandbox accepted (None: any that isolates). unsafe: grade without one if need be."""

    profile: str = "tiny"
    device: str = "auto"
    seed: int | None = None
    only: tuple[str, ...] = ()
    require_tier: int | None = None
    unsafe: bool = False


def checked(spec: Spec, options: Options) -> Selection:
    """The items to grade. Raises OptionError for an option that this registry or grader does not have."""
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
