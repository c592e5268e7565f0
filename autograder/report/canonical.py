"""report.json: the complete record of one graded submission. Every other report shows a part of it.

Its keys are a public contract (report.schema.json beside this file) and have a fixed order. Two runs with the same seed
differ only in durations.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.core.messages import replay
from autograder.core.text import valid_unicode

if TYPE_CHECKING:
    from autograder.core.records import GradedItem, Grading, ItemResult, RunInfo

SCHEMA_VERSION = 1
MAX_DEPTH = 12  # of evidence: deeper nesting is a bug in the grader and is cut
MAX_TEXT = 100_000  # characters of one string
MAX_ENTRIES = 20_000  # of one list or mapping


def report_dict(grading: Grading) -> dict[str, Any]:
    """The content of report.json as plain data."""
    graded, submission, run = grading.graded, grading.submission, grading.run
    return {
        "schema_version": SCHEMA_VERSION,
        "assignment": grading.spec.id,
        "submission": {"name": to_json_data(submission.name), "sha256": submission.sha256},
        "grader": {
            "version": run.version,
            "seed": run.seed,
            "profile": run.profile,
            "device": run.device,
            "sandbox_tier": run.sandbox_tier,
            "sandbox_limits": run.sandbox_limits,
            "threads": run.threads,
        },
        "score": graded.score,
        "pending": graded.pending,
        "max_score": graded.max_score,
        "passed": graded.passed,
        "criteria": [
            {
                "id": criterion.id,
                "title": criterion.title,
                "points": criterion.points,
                "max_points": criterion.max_points,
                "items": [_item(item, run) for item in criterion.items],
            }
            for criterion in graded.criteria
            if not criterion.bonus
        ],
        "success_criteria": [
            {"id": c.id, "met": c.met, "value": c.value, "threshold": c.threshold} for c in graded.success_criteria
        ],
        "bonus": [_item(item, run) for group in graded.criteria if group.bonus for item in group.items],
        "duration_s": round(run.duration_s, 3),
    }


def evidence_of(result: ItemResult, run: RunInfo) -> dict[str, Any]:
    """The evidence of an item as JSON data. If the item did not pass, the command that grades it again is added."""
    evidence: dict[str, Any] = to_json_data(result.evidence)
    return evidence if result.status in ("passed", "needs_review") else evidence | {"replay": replay(run, result.id)}


def _item(item: GradedItem, run: RunInfo) -> dict[str, Any]:
    result = item.result
    evidence = evidence_of(result, run)
    if result.replaced:
        evidence["replaced_by_reference"] = list(result.replaced)
    return {
        "id": result.id,
        "status": result.status,
        "points": item.points,
        "max_points": item.max_points,
        "message": to_json_data(result.message),
        "misconception": to_json_data(result.misconception),
        "evidence": evidence,
    }


def to_json_data(value: Any, depth: int = 0) -> Any:
    """Convert anything that evidence may hold to JSON data.

    NaN and infinities become the strings "nan", "inf" and "-inf", which JSON has no numbers for; arrays become lists;
    a value of an unknown type becomes its text.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return valid_unicode(value[:MAX_TEXT])
    if isinstance(value, float):
        return value if math.isfinite(value) else str(float(value))
    if isinstance(value, np.generic | np.ndarray):
        return to_json_data(value.tolist(), depth)
    if depth >= MAX_DEPTH:
        return "…"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_ENTRIES]
        return {valid_unicode(str(key)): to_json_data(entry, depth + 1) for key, entry in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        rows = sorted(value, key=repr) if isinstance(value, set | frozenset) else list(value)
        return [to_json_data(entry, depth + 1) for entry in rows[:MAX_ENTRIES]]
    return valid_unicode(str(value)[:MAX_TEXT])


def dumps(data: Mapping[str, Any]) -> str:
    """Strict JSON, indented by two spaces, with a newline at the end. Raises ValueError for NaN."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
