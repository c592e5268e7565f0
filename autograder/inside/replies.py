"""Encode T15's rows as tensors, which may hold NaN; all replies become one sequence of token ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NUMBERS = ("n", "mean_reward", "kl_to_sft", "win_rate", "win_low", "win_high", "mean_tokens", "repetition")
NAME_LENGTH, MAX_ROWS, MAX_TOKENS = 60, 16, 200_000


def comparison_answer(rows: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return {"names": […]} and the tensors numbers (rows, 8), lengths (replies of all rows), counts (rows), tokens.

    A missing value or one that is not a number becomes NaN, missing replies become an empty list; the grader decides
    what that means. Raises TypeError if `rows` is not a list of records.
    """
    if rows is None:
        raise NotImplementedError("compare_policies returned None")
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError("compare_policies must return a list of dicts, one for each policy")
    rows = rows[:MAX_ROWS]
    replies = [_replies(row.get("response_ids")) for row in rows]
    tokens = [token for some in replies for reply in some for token in reply][:MAX_TOKENS]
    return {"names": [str(row.get("name"))[:NAME_LENGTH] for row in rows]}, {
        "numbers": torch.tensor(
            [[_number(row.get(key)) for key in NUMBERS] for row in rows], dtype=torch.float64
        ).reshape(len(rows), len(NUMBERS)),
        "counts": torch.tensor([len(some) for some in replies], dtype=torch.int64),
        "lengths": torch.tensor([len(reply) for some in replies for reply in some], dtype=torch.int64),
        "tokens": torch.tensor(tokens, dtype=torch.int64),
    }


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return float("nan")


def _replies(value: Any) -> list[list[int]]:
    """Convert to lists of token ids; a value of another form gives an empty list."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return []
    try:
        return [[int(token) for token in reply] for reply in value]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return []
