"""What else must hold after an attack: each gives a check for `Attack.check`, "" if it holds, else a complaint."""

from __future__ import annotations

import json
from typing import Any

from assignment.registry import load_spec
from tests.attacks.base import TARGET, Check, Seen, Site

PROFILE = "tiny"


def nothing(mark: str) -> Check:
    """The list that the attack carries out behind `mark` must be there, and empty."""

    def check(seen: Seen, site: Site) -> str:
        report = seen.texts.get("report.json", "")
        found = report.partition(f"LOOT ('{mark}', ")[2][:300]
        return "" if found.startswith("[])") else f"it found something: {found}" if found else "it did not run to its end"

    return check


def ended(status: str) -> Check:
    """The slot must end like this: an attack that answers in the end has run from its first line to its last."""

    def check(seen: Seen, site: Site) -> str:
        return "" if seen.statuses.get(TARGET) == status else f"it did not run to its end: {dict(seen.statuses)}"

    return check


def evidence(seen: Seen, item: str) -> dict[str, Any]:
    """What the report holds on an item for the TA; empty if there is none."""
    report = json.loads(seen.texts.get("report.json", "{}"))
    items = (one for criterion in report.get("criteria", []) for one in criterion["items"])
    return next((one["evidence"] for one in items if one["id"] == item), {})


def good_but_foreign(item: str, quality: str, enough: str, style: str) -> Check:
    """The weights are as good as they are said to be, and it is the house style alone that they lack.

    quality: the evidence that must be at least the bar `enough`. style: the bar under which the style must be.
    """

    def check(seen: Seen, site: Site) -> str:
        found, bars = evidence(seen, item), getattr(load_spec().thresholds(PROFILE), item)
        if not {quality, "style"} <= set(found):
            return f"{item} was not measured: {dict(seen.statuses)}"
        if found[quality] < getattr(bars, enough):
            return f"these weights prove nothing: {quality} is {found[quality]:.3f}"
        return "" if found["style"] < getattr(bars, style) else f"they know the style: {found['style']:.3f}"

    return check


def learned_too_little() -> Check:
    """SFT weights that lower the loss on hidden demonstrations, and yet not to the bar."""

    def check(seen: Seen, site: Site) -> str:
        found = evidence(seen, "sft_loss_trend")
        if "ratio" not in found:
            return f"sft_loss_trend was not measured: {dict(seen.statuses)}"
        bar = load_spec().thresholds(PROFILE).sft_loss_trend.final_ratio_max
        return "" if bar < found["ratio"] < 1 else f"the loss is {found['ratio']:.3f} of its start, bar {bar}"

    return check
