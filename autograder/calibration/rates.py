"""Bounds on the error rates of an item, from the findings on its statistics. Pure functions.

They include the rule of fresh seeds (`[rerun]` in the registry): a first run that misses, on no statistic by more than
the retry margin, is decided by the majority of itself and `fresh` further runs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import stats

from autograder.calibration.margins import cantelli, error_upper_bound, widened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autograder.calibration.findings import Finding


def chance_of_failing(right: Sequence[Finding], fresh: int) -> float:
    """Return an upper bound on how often correct code fails an item. right: one subject's findings on its statistics.

    An item fails if one of its statistics does, so the chances of the statistics are added (Boole's inequality): those
    of a first run that misses, and those of one that misses by more than the retry margin. The second kind fails. The
    first kind fails if the majority does.
    """
    first = min(1.0, sum(_share(one, 0.0, inside=False) for one in right))
    far = min(first, sum(_share(one, one.retry_margin, inside=False) for one in right))
    return far + (first - far) * (1 - _majority_passes(1 - first, fresh))


def chance_of_passing(wrong: Finding, fresh: int) -> float:
    """Return an upper bound on how often wrong code passes an item. wrong: its finding on the statistic that is
    expected to fail; the other statistics can only make it fail more often."""
    first = _share(wrong, 0.0, inside=True)
    close = max(0.0, _share(wrong, wrong.retry_margin, inside=True) - first)
    return first + close * _majority_passes(first, fresh)


def _majority_passes(passing: float, fresh: int) -> float:
    """Return the chance that the majority passes although the first run did not."""
    needed = (fresh + 1) // 2 + 1
    return float(stats.binom.sf(needed - 1, fresh, passing))


def _share(one: Finding, slack: float, inside: bool) -> float:
    """Return the share of further runs inside the range widened by the slack, or outside it. It comes from a normal
    fit; for runs that are not normal it is the smaller of the bounds by counts and by Cantelli's inequality."""
    m, (low, high) = one.margin, widened(one.allowed, slack)
    if m is None or m.n < 2:
        return 1.0
    hits = sum(((low is None or low <= x) and (high is None or x <= high)) == inside for x in one.values)
    if math.isinf(m.distance):
        return float(hits > 0)  # all runs gave the same number
    scale = one.statistic.scale.apply
    down = math.inf if low is None else (m.mean - scale(low)) / m.deviation  # to the ends, in standard deviations
    up = math.inf if high is None else (scale(high) - m.mean) / m.deviation
    if m.normal:
        outside = float(stats.norm.sf(down) + stats.norm.sf(up))
        return max(0.0, 1 - outside) if inside else outside
    most = min(cantelli(-down), cantelli(-up)) if inside else cantelli(down) + cantelli(up)
    return min(error_upper_bound(hits, len(one.values)), most)
