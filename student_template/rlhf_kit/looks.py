"""The colour and line style of each model, the same in every figure.

The colours are Okabe and Ito's, which colour-blind readers can tell apart. The line styles differ as well,
for printing in grey.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Look = tuple[str, Any]  # colour and matplotlib line style

_POOR, _GOOD = ("#D55E00", "--"), ("#0072B2", "-")
LOOKS: dict[str, Look] = {  # a judge and the policy that is trained against it look alike
    "Base": ("#CC79A7", ":"),
    "SFT": ("#009E73", "-."),
    "Poor RM": _POOR,
    "Poor-RM policy": _POOR,
    "Good RM": _GOOD,
    "Good-RM policy": _GOOD,
    "": ("#000000", "-"),  # a curve without a name stands alone
}
OTHER_COLORS = ("#000000", "#E69F00", "#56B4E9")
OTHER_STYLES = ((0, (7, 2, 1, 2, 1, 2)), (0, (1, 4)), (0, (12, 3)), (0, (6, 2, 6, 2, 1, 2)))


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Map each name to its colour and line style: those of LOOKS, or the next of the remaining ones.

    More than twelve other names begin again with the first look.
    """
    found: dict[str, Look] = {}
    others = 0
    for name in dict.fromkeys(names):
        if name not in LOOKS:
            found[name] = (
                OTHER_COLORS[others % len(OTHER_COLORS)],
                OTHER_STYLES[others % len(OTHER_STYLES)],
            )
            others += 1
        else:
            found[name] = LOOKS[name]
    return found
