"""How often a test is wrong: bounds for an item from the findings on its statistics, fresh seeds included. Pure.

The rule of fresh seeds (`[rerun]` in the registry): a first run that misses the bar, on no statistic by more than
`near`, is decided by the majority of itself and `fresh` further runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from autograder.calibration.findings import Finding
from autograder.calibration.margins import cantelli, error_upper_bound, widened


def chance_of_failing(right: Sequence[Finding], fresh: int) -> float:
    """At most how often right code fails an item. right: one subject's findings on all the item's statistics.

    An item fails if any of its statistics does, so the chances are added up (Boole's inequality): of a first run that
    misses, and of one that misses by more than `near`. The latter fails; the former also where fresh runs do not help.
    """
    first = min(1.0, sum(_share(one, 0.0, inside=False) for one in right))
    far = min(first, sum(_share(one, one.near, inside=False) for one in right))
    return far + (first - far) * (1 - _helped(1 - first, fresh))


def chance_of_passing(wrong: Finding, fresh: int) -> float:
    """At most how often a near miss passes an item. wrong: its finding on the statistic that is named to tell it; the
    others can only make it fail more often."""
    first = _share(wrong, 0.0, inside=True)
    near = max(0.0, _share(wrong, wrong.near, inside=True) - first)
    return first + near * _helped(first, fresh)


def _helped(passing: float, fresh: int) -> float:
    """Chance that a majority passes although the first run did not."""
    needed = (fresh + 1) // 2 + 1
    return float(stats.binom.sf(needed - 1, fresh, passing))


def _share(one: Finding, slack: float, inside: bool) -> float:
    """Share of further runs inside the bar, or outside it, widened by the slack: from a normal fit; where that cannot
    be trusted, the smaller of what the counts and what Cantelli's inequality leave open."""
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
