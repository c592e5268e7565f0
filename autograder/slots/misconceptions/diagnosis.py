"""What differs, where no known mistake explains it: sign, scale, shift, position, some rows or padded rows only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autograder.core.failures import guarded
from autograder.slots.hidden_tests.base import Case, CaseAnswer, HiddenTest, Residual

SENTENCES = {
    "sign": "Your numbers are the right ones with the opposite sign.",
    "scale": "Your numbers are proportional to the right ones: a constant factor is missing or too much.",
    "shift": "Your numbers differ from the right ones by one constant.",
    "position": "Your numbers are the right ones, moved by one position.",
    "order": "Your numbers are the right ones in another order of the rows.",
    "padding": "Your longest rows are right and all shorter ones are wrong: what stands in the padding has an influence.",
    "rows": "Some rows are right and some are not: compare the short ones with the longest.",
    "zero": "Your numbers are all zero.",
    "constant": "Your numbers are all the same.",
}
CLOSE = 1e-3
MASKS = ("mask", "attention_mask")  # of these arrays of a case, 1 is text and 0 is padding or prompt


@guarded(lambda *_: None)  # it only explains: should it fail on an odd answer, the verdict stands without it
def diagnose(
    test: HiddenTest, cases: Sequence[Case], answers: Sequence[CaseAnswer], residuals: Sequence[Residual]
) -> str | None:
    """The kind of the difference (a key of SENTENCES) that all wrong arrays of one name share, or None."""
    wrong = [r for r in residuals if r.fault == "differs"]
    if not wrong:
        return None
    found = set()
    for residual in (r for r in wrong if r.name == wrong[0].name):
        case, answer = cases[residual.case], answers[residual.case]
        checks = [c for c in test.checks(case, answer) if c.name == residual.name]
        if not checks or not isinstance(checks[0].expected, np.ndarray):
            return None
        masks = [case.tensors[name] for name in MASKS if name in case.tensors]
        found.add(kind(np.asarray(checks[0].got, dtype=np.float64), checks[0].expected, *masks[:1]))
    found -= {"scale"} if {"sign"} <= found else set()
    return found.pop() if len(found) == 1 else None


def kind(got: np.ndarray, expected: np.ndarray, mask: np.ndarray | None = None) -> str | None:
    """How two finite arrays of one shape differ. mask: (rows, T), the case's own if it has one."""
    tolerance = CLOSE * float(np.abs(expected).max() or 1.0)

    def near(one: np.ndarray, two: np.ndarray) -> bool:
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
    # Only where they overlap: what was moved over the edge is lost, or stands at the other end.
    if got.shape[-1] > 2 and (near(got[..., 1:], expected[..., :-1]) or near(got[..., :-1], expected[..., 1:])):
        return "position"
    return _rows(got, expected, mask, tolerance)


def _rows(got: np.ndarray, expected: np.ndarray, mask: np.ndarray | None, tolerance: float) -> str | None:
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
