"""Count right answers to each kind of question, model by model, and how two models agree. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .figures import MODELS, Figures
from .kinds import COMPONENT, is_right

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .prompts import Question

PAIR = ("SFT", "Good-RM policy")  # whose answers are compared question by question
Counts = dict[str, Any]


def kind_counts(questions: Sequence[Question], replies: Mapping[str, Sequence[str]]) -> dict[str, Counts]:
    """Count for each kind: n questions, distinct keys among them, right replies and empty ones of each model, and
    `pairs`, a list of how often both models of PAIR are right, only the first, only the second, and neither.

    replies: texts, by MODELS' names.
    """
    right = {m: [is_right(q.record, r) for q, r in zip(questions, texts, strict=True)] for m, texts in replies.items()}
    found: dict[str, Counts] = {}
    for kind in dict.fromkeys(question.kind for question in questions):
        where = [i for i, question in enumerate(questions) if question.kind == kind]
        found[kind] = {
            "n": len(where),
            "distinct": len({questions[i].key for i in where}),
            "right": {MODELS[m]: sum(hits[i] for i in where) for m, hits in right.items()},
            "empty": {MODELS[m]: sum(not texts[i].strip() for i in where) for m, texts in replies.items()},
            "pairs": two_by_two(*([right[m][i] for i in where] for m in PAIR)),
        }
    return found


def two_by_two(first: Sequence[bool], second: Sequence[bool]) -> list[int]:
    """Count how often both are true, only the first, only the second, and neither."""
    pairs = list(zip(first, second, strict=True))
    return [pairs.count(one) for one in ((True, True), (True, False), (False, True), (False, False))]


def kind_figures(decoding: str, counts: Mapping[str, Counts]) -> Figures:
    """Return the share of right answers of each model to each kind, and to all kinds that ask for what can be known."""
    known = [kind for kind in counts if kind not in COMPONENT]
    figures: Figures = {}
    for name in MODELS.values():
        for kind, count in counts.items():
            figures[f"{name}_right_{kind}_{decoding}"] = count["right"][name] / count["n"]
        asked = sum(counts[kind]["n"] for kind in known)
        if asked:
            right = sum(counts[kind]["right"][name] for kind in known)
            figures[f"{name}_right_known_{decoding}"] = right / asked
    return figures
