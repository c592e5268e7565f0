"""Operation `definitions`: do imports, helpers and answers execute in order in a fresh process?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .namespace import SlotError
from .registry import Report, op

if TYPE_CHECKING:
    import torch

    from .namespace import Namespace


@op("definitions")
def definitions(
    ns: Namespace, payload: dict[str, Any], tensors: dict[str, torch.Tensor], report: Report
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """{"failed": [{"where": slot id or "prelude", "line", "error"}]}, names left undefined among them."""
    failed = list(ns.errors)
    named = {entry["where"] for entry in failed}
    for slot, name in payload["code"].get("names", {}).items():
        try:
            ns.get(name)
        except SlotError as error:
            if slot not in named:
                failed.append({"where": slot, "line": 1, "error": str(error)})
    return {"failed": failed}, {}
