"""Our own failures: named as such, kept for the TA, never paid for by a student."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from autograder.core.messages import STATUS
from autograder.core.records import ItemResult

LOG = logging.getLogger("rlhf-lab")
T = TypeVar("T")


def not_gradable(item: str, reason: str, trace: str = "") -> ItemResult:
    """The result of an item that the grader could not grade."""
    evidence = {"reason": reason, **({"traceback": trace} if trace else {})}
    return ItemResult(item, "not_gradable", 0.0, STATUS["not_gradable"].sentence, evidence=evidence)


def guarded(action: Callable[[], T], otherwise: Callable[[str, str], T]) -> T:
    """`action()`; if it raises, what `otherwise(reason, traceback)` makes of it. Interrupts pass."""
    try:
        return action()
    except Exception as error:
        LOG.debug("grader failure", exc_info=True)
        return otherwise(f"{type(error).__name__}: {error}"[:500], traceback.format_exc(limit=-12)[-4000:])
