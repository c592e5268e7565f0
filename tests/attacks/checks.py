"""Conditions for `Attack.check`: each function returns a check, which returns "" if it holds and else a complaint."""

from __future__ import annotations

import json
from typing import Any

from assignment.registry import load_spec
from tests.attacks.base import TARGET, Check, Machine, RunResult

PROFILE = "tiny"


def found_nothing(mark: str) -> Check:
    """The attack must have run to its end and found nothing: its list after `mark` is in the report, and empty."""

    def check(result: RunResult, _machine: Machine) -> str:
        report = result.texts.get("report.json", "")
        found = report.partition(f"LOOT ('{mark}', ")[2][:300]
        return "" if found.startswith("[])") else f"it found something: {found}" if found else "it did not run to its end"

    return check


def ended_as(status: str) -> Check:
    """The slot must end with this status. An attack that returns an answer has run from its first line to its last."""

    def check(result: RunResult, _machine: Machine) -> str:
        return "" if result.statuses.get(TARGET) == status else f"it did not run to its end: {dict(result.statuses)}"

    return check


def evidence(result: RunResult, item: str) -> dict[str, Any]:
    """The evidence of an item in the report; empty if there is none."""
    report = json.loads(result.texts.get("report.json", "{}"))
    items = (one for criterion in report.get("criteria", []) for one in criterion["items"])
    return next((one["evidence"] for one in items if one["id"] == item), {})


def good_but_foreign(item: str, quality: str, enough: str, style: str) -> Check:
    """The weights must be good and fail only because they do not know the house style.

    quality: the key of the evidence that must reach the threshold `enough`. style: the threshold that the evidence of
    the style must not reach.
    """

    def check(result: RunResult, _machine: Machine) -> str:
        found, thresholds = evidence(result, item), getattr(load_spec().thresholds(PROFILE), item)
        if not {quality, "style"} <= set(found):
            return f"{item} was not measured: {dict(result.statuses)}"
        if found[quality] < getattr(thresholds, enough):
            return f"these weights prove nothing: {quality} is {found[quality]:.3f}"
        return "" if found["style"] < getattr(thresholds, style) else f"they know the style: {found['style']:.3f}"

    return check


def learned_too_little() -> Check:
    """The SFT weights must lower the loss on hidden demonstrations, but not to the threshold."""

    def check(result: RunResult, _machine: Machine) -> str:
        found = evidence(result, "sft_loss_trend")
        if "ratio" not in found:
            return f"sft_loss_trend was not measured: {dict(result.statuses)}"
        limit = load_spec().thresholds(PROFILE).sft_loss_trend.final_ratio_max
        return "" if limit < found["ratio"] < 1 else f"the loss is {found['ratio']:.3f} of its start, limit {limit}"

    return check
