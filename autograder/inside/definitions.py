"""The operation `definitions` checks that imports, helpers and answers execute in order in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .namespace import SlotError
from .operations import Report, Result, op

if TYPE_CHECKING:
    import torch

    from .namespace import Namespace


@op("definitions")
def definitions(ns: Namespace, payload: dict[str, Any], _tensors: dict[str, torch.Tensor], _report: Report) -> Result:
    """Return {"failed": [{"where": slot id or "prelude", "line", "error"}]}, which includes undefined names."""
    failed = list(ns.errors)
    named = {entry["where"] for entry in failed}
    for slot, name in payload["code"].get("names", {}).items():
        try:
            ns.get(name)
        except SlotError as error:
            if slot not in named:
                failed.append({"where": slot, "line": 1, "error": str(error)})
    return {"failed": failed}, {}
