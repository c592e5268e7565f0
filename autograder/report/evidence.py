"""Evidence turned into what a page can show: charts, tables, texts. Nothing here knows HTML.

Training code follows conventions (``curve``, ``generations``, ``rows``, …); any other evidence is
shown by its shape, so that an item can bring new kinds of proof without a change here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assignment.registry import Spec, Thresholds
from autograder.core.records import ItemResult
from autograder.core.text import number
from autograder.report.plots import Chart, finite_pairs, is_number

MAX_DEPTH, MAX_COLUMNS, MAX_ROWS = 4, 14, 80
SHOWN_ELSEWHERE = {"generations": "side by side under “Generations”"}
_LONG = 12  # a list of more numbers than this is summed up
_STEP = "optimiser step"
_CURVES = {  # key of a curve: title, unit of y, unit of x
    "heldout_loss": ("SFT: held-out loss", "nats per token", _STEP),
    "accuracy": ("Reward model: accuracy on hidden pairs", "share ranked right", _STEP),
    "reward": ("PPO: reward on hidden prompts", "mean reward", "PPO step"),
    "kl": ("PPO: KL from the SFT policy", "nats per sequence", "PPO step"),
}


@dataclass(frozen=True)
class Node:
    """One piece of evidence. kind says which field holds it:

    "value", "pre" -> text; "table" -> columns, rows (each as long as columns; numbers as text);
    "map" -> pairs of (label, Node); "list" -> items.
    """

    kind: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pairs: tuple[tuple[str, Node], ...] = ()
    items: tuple[Node, ...] = ()
    more: int = 0


def node(value: Any, depth: int = 0) -> Node:
    """Any JSON data as a Node; what is deeper than MAX_DEPTH is shown as compact JSON."""
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
    """Rows of mappings as a table over the union of their keys, in order of appearance.

    Bulk columns, such as the token ids of every reply, are left out; report.json holds them.
    """
    keys = dict.fromkeys(key for record in records for key, value in record.items() if not _is_bulk(value))
    columns = tuple(keys)[:MAX_COLUMNS]
    rows = tuple(tuple(_cell(record.get(key)) for key in columns) for record in records[:MAX_ROWS])
    return Node("table", columns=columns, rows=rows, more=max(0, len(records) - MAX_ROWS))


def columns_table(table: Mapping[str, Sequence[Any]]) -> Node:
    """A mapping of equally long lists as a table with one column a key."""
    names = list(table)[:MAX_COLUMNS]
    size = min(len(table[name]) for name in names)
    rows = tuple(tuple(_cell(table[name][i]) for name in names) for i in range(min(size, MAX_ROWS)))
    return Node("table", columns=tuple(str(n) for n in names), rows=rows, more=max(0, size - MAX_ROWS))


def gist(values: Mapping[str, Any]) -> str:
    """One line over the fold: what a traceback ends in, then the first scalars of the evidence."""
    short = [(key, value) for key, value in values.items()
             if isinstance(value, bool | int | float) or _is_word(value)]
    trace = values.get("traceback")
    last = trace.strip().splitlines()[-1:] if isinstance(trace, str) else []
    return ", ".join([*last, *(f"{key.replace('_', ' ')} {_scalar(value)}" for key, value in short[:4])])


def charts(results: Mapping[str, ItemResult], spec: Spec, profile: str) -> list[Chart]:
    """One chart per measured curve of the training items, in registry order."""
    found = []
    for item in spec.item_list:
        curve = results[item.id].evidence.get("curve") if item.id in results else None
        if isinstance(curve, Mapping) and isinstance(curve.get("steps"), Sequence):
            found += [_chart(item.id, key, curve, results, spec, profile) for key in curve if key != "steps"]
    return [chart for chart in found if chart is not None]


def _chart(
    id_: str, key: str, curve: Mapping[str, Any], results: Mapping[str, ItemResult], spec: Spec, profile: str
) -> Chart | None:
    if not isinstance(curve[key], Sequence) or isinstance(curve[key], str):
        return None
    x, y = finite_pairs(curve["steps"], curve[key])
    if not x:
        return None
    title, unit, step = _CURVES.get(key, (f"{id_}: {key}", key.replace("_", " "), _STEP))
    bars, band, interval = _references(key, results[id_].evidence, spec.threshold_table.get(profile))
    return Chart(title, step, unit, x, y, bars, band, interval)


Reference = tuple[tuple[tuple[str, float], ...], tuple[float, float] | None, tuple[float, float] | None]


def _references(key: str, evidence: Mapping[str, Any], known: Thresholds | None) -> Reference:
    """What a curve is judged against: threshold lines, an allowed band, the last point's interval."""
    if key == "heldout_loss" and is_number(evidence.get("bar")):
        return (("bar", float(evidence["bar"])),), None, None
    if key == "accuracy":
        bars = (("bar", known.rm_accuracy.lower_bound_min),) if known else ()
        return bars, None, _pair(evidence.get("interval"))
    if key == "kl" and known:
        return (), (known.ppo_kl.min, known.ppo_kl.max), None
    return (), None, None


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, Sequence) and len(value) == 2 and all(is_number(v) for v in value):
        return float(value[0]), float(value[1])
    return None


def _is_columns(value: Mapping[str, Any]) -> bool:
    lists = [v for v in value.values() if isinstance(v, Sequence) and not isinstance(v, str)]
    return len(value) > 1 and len(lists) == len(value) and len({len(v) for v in lists}) == 1 \
        and len(lists[0]) > 0 and all(not isinstance(e, Mapping | list | tuple) for v in lists for e in v)


def _is_bulk(value: Any) -> bool:
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
