"""Describe how an answer differs from the right one where no known mistake explains it: a sign, a factor, a shift …"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.core.failures import guarded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autograder.slots.hidden_tests.checked import CheckedAnswers

SENTENCES = {
    "sign": "Your numbers are the right ones with the opposite sign.",
    "scale": "Your numbers are proportional to the right ones: a constant factor is missing or too much.",
    "shift": "Your numbers differ from the right ones by one constant.",
    "position": "Your numbers are the right ones, moved by one position.",
    "order": "Your numbers are the right ones in another order of the rows.",
    "padding": "Your longest rows are right and all shorter ones are wrong: what stands in the padding has an "
    "influence.",
    "rows": "Some rows are right and some are not: compare the short ones with the longest.",
    "zero": "Your numbers are all zero.",
    "constant": "Your numbers are all the same.",
}
CLOSE = 1e-3  # of the largest right number: how far two arrays may be apart and still count as the same
MASKS = ("mask", "attention_mask")  # arrays of a case in which 1 stands for text and 0 for padding or prompt


@guarded(lambda *_: None)  # this only explains the result, which stands without it if an odd answer breaks this
def diagnose(checked: CheckedAnswers) -> str | None:
    """The kind of difference, a key of SENTENCES, that all wrong arrays of one name share; None if there is none."""
    wrong = [r for r in checked.residuals if r.fault == "differs"]
    if not wrong:
        return None
    found = set()
    for residual in (r for r in wrong if r.name == wrong[0].name):
        case, answer = checked.cases[residual.case], checked.answers[residual.case]
        checks = [c for c in checked.test.checks(case, answer) if c.name == residual.name]
        if not checks or not isinstance(checks[0].expected, np.ndarray):
            return None
        masks = [case.tensors[name] for name in MASKS if name in case.tensors]
        found.add(difference(np.asarray(checks[0].got, dtype=np.float64), checks[0].expected, *masks[:1]))
    found -= {"scale"} if {"sign"} <= found else set()
    return found.pop() if len(found) == 1 else None


def difference(got: NDArray[Any], expected: NDArray[Any], mask: NDArray[Any] | None = None) -> str | None:
    """How two finite arrays of one shape differ: a key of SENTENCES, or None. mask: (rows, T), the case's if it has
    one."""
    tolerance = CLOSE * float(np.abs(expected).max() or 1.0)

    def near(one: NDArray[Any], two: NDArray[Any]) -> bool:
        return bool((np.abs(one - two) <= tolerance).all())

    if near(got, -expected):
        return "sign"
    if not got.any():
        return "zero"
    if got.size > 2 and float(np.ptp(got)) <= tolerance < float(np.ptp(expected)):
        return "constant"
    if got.ndim == 0 or got.size < 3:
        return None  # one number fits every factor and every shift
    factor = float((got * expected).sum() / (expected * expected).sum())
    if near(got, factor * expected):
        return "scale"
    if near(got - expected, np.full_like(got, float((got - expected).mean()))):
        return "shift"
    # Only the overlap is compared: what was moved over the edge is gone, or was rolled to the other end.
    if got.shape[-1] > 2 and (near(got[..., 1:], expected[..., :-1]) or near(got[..., :-1], expected[..., 1:])):
        return "position"
    return _rows(got, expected, mask, tolerance)


def _rows(got: NDArray[Any], expected: NDArray[Any], mask: NDArray[Any] | None, tolerance: float) -> str | None:
    """How arrays of several rows differ if some of the rows are right, or all are in another order."""
    if len(got) < 2:
        return None
    one, two = got.reshape(len(got), -1), expected.reshape(len(expected), -1)
    matches = (np.abs(one[:, None] - two[None]) <= tolerance).all(axis=2)
    if (matches.sum(axis=0) == 1).all() and (matches.sum(axis=1) == 1).all():
        return "order"
    right = matches.diagonal()
    if mask is not None and len(mask) == len(got):
        lengths = mask.sum(axis=1)
        if right.any() and not right.all() and (right == (lengths == lengths.max())).all():
            return "padding"
    return "rows" if right.any() else None
