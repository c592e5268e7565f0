"""The request and the reply of one slot test, as they travel to the worker and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from autograder.slots.hidden_tests.base import Case, CaseAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Arrays = dict[str, NDArray[Any]]


def slot_request(slot: str, function: str, cases: Sequence[Case], seed: int) -> tuple[dict[str, Any], Arrays]:
    """Payload and arrays of a `call_slot` request. Nothing that only the grader may know is in them."""
    payload = {"slot": slot, "name": function, "seed": seed % 2**31, "cases": [dict(case.args) for case in cases]}
    return payload, {f"{i}.{key}": x for i, case in enumerate(cases) for key, x in case.tensors.items()}


def read_answers(data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], count: int) -> list[CaseAnswer]:
    """Read the answers to `count` cases from a reply. Raises ValueError if it does not hold one answer per case."""
    cases = data.get("cases")
    if not isinstance(cases, list) or len(cases) != count or not all(isinstance(c, dict) for c in cases):
        raise ValueError("the reply does not hold one answer per case")
    out = []
    for i, case in enumerate(cases):
        mine = {name.split(".", 1)[1]: x for name, x in arrays.items() if name.startswith(f"{i}.")}
        values, error = case.get("values"), case.get("error")
        if not isinstance(values, dict) or not (error is None or isinstance(error, dict)):
            raise ValueError("an answer has no values")
        out.append(CaseAnswer(values, mine, error))
    return out
