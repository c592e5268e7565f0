"""Turn evidence into what a page can show: charts, tables and texts, still without HTML.

The evidence of training items follows conventions (`curve`, `generations`, `rows`, …). All other evidence is shown by
its shape, so that an item can have new kinds of evidence without a change here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograder.core.text import number
from autograder.report.plots import Chart, finite_pairs, is_number

if TYPE_CHECKING:
    from assignment.registry import Spec
    from autograder.core.records import ItemResult

MAX_DEPTH, MAX_COLUMNS, MAX_ROWS = 4, 14, 80
SHOWN_ELSEWHERE = {"generations": "side by side under “Generations”"}
_LONG = 12  # a list of more numbers than this is summed up


@dataclass(frozen=True)
class CurveStyle:
    """How a curve of a training item is drawn: its title, the unit of y and the unit of x.

    threshold_in_evidence: the key of the item's evidence with its threshold. threshold_field: the field of the item's
    thresholds in the registry that is drawn as a line. band_in_evidence: the item, which may be another one, and the
    key of its evidence with the allowed range. with_interval: draw the evidence's confidence interval at the last
    point.
    """

    title: str
    unit: str
    step: str = "optimiser step"
    threshold_in_evidence: str = ""
    threshold_field: str = ""
    band_in_evidence: tuple[str, str] = ("", "")
    with_interval: bool = False


_CURVES = {  # by key of the curve in the evidence
    "heldout_loss": CurveStyle("SFT: held-out loss", "nats per token", threshold_in_evidence="bar"),
    "accuracy": CurveStyle(
        "Reward model: accuracy on hidden pairs", "share ranked right",
        threshold_field="lower_bound_min", with_interval=True,
    ),
    "reward": CurveStyle("PPO: reward on hidden prompts", "mean reward", "PPO step"),
    "kl": CurveStyle(
        "PPO: KL from the SFT policy", "nats per sequence", "PPO step", band_in_evidence=("ppo_kl", "range")
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One piece of evidence. kind says which fields hold it:

    "value", "pre" -> text; "table" -> columns, rows (each as long as columns, with numbers as text);
    "map" -> pairs of (label, Node); "list" -> items. more: the number of rows or items that are left out.
    """

    kind: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pairs: tuple[tuple[str, Node], ...] = ()
    items: tuple[Node, ...] = ()
    more: int = 0


def node(value: Any, depth: int = 0) -> Node:
    """Convert any JSON data to a Node. What is nested deeper than MAX_DEPTH becomes compact JSON."""
    if isinstance(value, str):
        return Node("pre" if "\n" in value else "value", text=value)
    if value is None or isinstance(value, bool | int | float):
        return Node("value", text=_scalar(value))
    if depth >= MAX_DEPTH:
        return Node("pre", text=json.dumps(value, ensure_ascii=False, default=str))
    if isinstance(value, Mapping):
        if depth and _is_columns(value):
            return columns_table(value)
        pairs = tuple((str(key), _entry(str(key), entry, depth)) for key, entry in value.items())
        return Node("map", pairs=pairs) if pairs else Node("value", text="none")
    if isinstance(value, Sequence):
        return _sequence(value, depth)
    return Node("value", text=str(value))


def _entry(key: str, value: Any, depth: int) -> Node:
    if depth == 0 and key in SHOWN_ELSEWHERE and value:
        return Node("value", text=SHOWN_ELSEWHERE[key])
    return node(value, depth + 1)


def _sequence(values: Sequence[Any], depth: int) -> Node:
    if not values:
        return Node("value", text="none")
    if all(isinstance(value, Mapping) for value in values):
        return records_table(values)
    if all(is_number(value) for value in values) and len(values) > _LONG:
        head = f"{len(values)} numbers from {number(min(values))} to {number(max(values))}: "
        return Node("value", text=head + ", ".join(number(value) for value in values[:_LONG]) + ", …")
    if all(value is None or isinstance(value, bool | int | float) or _is_word(value) for value in values):
        return Node("value", text=", ".join(_scalar(value) for value in values))
    items = tuple(node(value, depth + 1) for value in values[:MAX_ROWS])
    return Node("list", items=items, more=max(0, len(values) - MAX_ROWS))


def records_table(records: Sequence[Mapping[str, Any]]) -> Node:
    """Convert mappings to the rows of a table whose columns are all their keys, in order of appearance.

    Long values, such as the token ids of every reply, are left out; report.json holds them.
    """
    keys = dict.fromkeys(key for record in records for key, value in record.items() if not _is_long(value))
    columns = tuple(keys)[:MAX_COLUMNS]
    rows = tuple(tuple(_cell(record.get(key)) for key in columns) for record in records[:MAX_ROWS])
    return Node("table", columns=columns, rows=rows, more=max(0, len(records) - MAX_ROWS))


def columns_table(table: Mapping[str, Sequence[Any]]) -> Node:
    """Convert a mapping of equally long lists to a table with one column per key."""
    names = list(table)[:MAX_COLUMNS]
    size = min(len(table[name]) for name in names)
    rows = tuple(tuple(_cell(table[name][i]) for name in names) for i in range(min(size, MAX_ROWS)))
    return Node("table", columns=tuple(str(n) for n in names), rows=rows, more=max(0, size - MAX_ROWS))


def summary_line(values: Mapping[str, Any]) -> str:
    """Summarise evidence in one line: the last line of its traceback, then its first scalars."""
    short = [(key, value) for key, value in values.items() if isinstance(value, bool | int | float) or _is_word(value)]
    trace = values.get("traceback")
    last = trace.strip().splitlines()[-1:] if isinstance(trace, str) else []
    return ", ".join([*last, *(f"{key.replace('_', ' ')} {_scalar(value)}" for key, value in short[:4])])


def charts(results: Mapping[str, ItemResult], spec: Spec, profile: str) -> list[Chart]:
    """One chart per measured curve of the training items, in the registry's order."""
    found = []
    for item in spec.item_list:
        evidence = results[item.id].evidence if item.id in results else {}
        curve = evidence.get("curve")
        if isinstance(curve, Mapping) and isinstance(curve.get("steps"), Sequence):
            thresholds = getattr(spec.threshold_table.get(profile), item.id, None)
            found += [_chart(item.id, key, results, thresholds) for key in curve if key != "steps"]
    return [chart for chart in found if chart is not None]


def _chart(item: str, key: str, results: Mapping[str, ItemResult], thresholds: object) -> Chart | None:
    """The chart of one curve; None if it has no points. thresholds: the item's, or None."""
    evidence = results[item].evidence
    curve = evidence["curve"]
    if not isinstance(curve[key], Sequence) or isinstance(curve[key], str):
        return None
    x, y = finite_pairs(curve["steps"], curve[key])
    if not x:
        return None
    style = _CURVES.get(key, CurveStyle(f"{item}: {key}", key.replace("_", " ")))
    stated, field = style.threshold_in_evidence, style.threshold_field
    other, allowed = style.band_in_evidence
    line = evidence.get(stated) if stated else getattr(thresholds, field, None)
    return Chart(
        style.title, style.step, style.unit, x, y,
        threshold=float(line) if is_number(line) else None,
        band=_pair(results[other].evidence.get(allowed)) if other in results else None,
        interval=_pair(evidence.get("interval")) if style.with_interval else None,
    )  # fmt: skip


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, Sequence) and len(value) == 2 and all(is_number(v) for v in value):
        return float(value[0]), float(value[1])
    return None


def _is_columns(value: Mapping[str, Any]) -> bool:
    lists = [v for v in value.values() if isinstance(v, Sequence) and not isinstance(v, str)]
    return (
        len(value) > 1
        and len(lists) == len(value)
        and len({len(v) for v in lists}) == 1
        and len(lists[0]) > 0
        and all(not isinstance(e, Mapping | list | tuple) for v in lists for e in v)
    )


def _is_long(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 4


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 40 and "\n" not in value


def _scalar(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str(value)


def _cell(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return _scalar(value)
    if isinstance(value, Sequence) and len(value) <= 4 and all(is_number(v) for v in value):
        return ", ".join(number(v) for v in value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:200]} … ({len(text)} characters)"
