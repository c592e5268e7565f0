"""Store results in the notebook: as a table for people, and as JSON for the grader.

`record(kind, rows)` puts both into the cell's output, so that the .ipynb alone is a complete submission.
Recorded results are the student's claims; grades depend on weights, never on these tables.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

MIME_TYPE = "application/vnd.rlhf-lab.results+json"
SCHEMA_VERSION = 1
MAX_SHOWN = 40  # rows of the table; the JSON holds all rows

Row = Mapping[str, Any]


def record(kind: str, table: Sequence[Row] | Mapping[str, Row]) -> None:
    """Show a table, and store it as JSON in the output of the running cell.

    kind: what it holds ("sft", "reward_model", "ppo", "comparison", "hyperparameters", …). table: a list
    of rows, or name -> row. Tensors and NumPy values become numbers and lists, NaN and infinities
    become null. ValueError if `kind` is empty or a row is not a mapping.
    """
    bundle = results_bundle(kind, table)
    try:
        from IPython import get_ipython
        from IPython.display import display

        in_notebook = get_ipython() is not None
    except ImportError:
        in_notebook = False
    if in_notebook:
        display(bundle, raw=True)
    else:
        print(bundle["text/plain"])


def results_bundle(kind: str, table: Sequence[Row] | Mapping[str, Row]) -> dict[str, Any]:
    """Make the MIME bundle that `record` displays: JSON, HTML and plain text."""
    if not kind or not isinstance(kind, str):
        raise ValueError("record(kind, table): `kind` is a name such as 'comparison'")
    if isinstance(table, Mapping):
        table = [{"name": name, **row} for name, row in table.items()]
    for row in table:
        if not isinstance(row, Mapping):
            raise ValueError(
                f"record(kind, table): each row is a dict, one is a {type(row).__name__}"
            )
    rows = [{str(key): to_json(value) for key, value in row.items()} for row in table]
    return {
        MIME_TYPE: {"schema_version": SCHEMA_VERSION, "kind": kind, "rows": rows},
        "text/html": table_html(rows),
        "text/plain": table_text(rows),
    }


def to_json(value: Any) -> Any:
    """Convert a value of a table to JSON; a value of an unknown type becomes its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json(dataclasses.asdict(value))
    if hasattr(value, "tolist"):  # torch tensors, NumPy arrays and scalars
        return to_json(
            value.detach().cpu().tolist() if hasattr(value, "detach") else value.tolist()
        )
    return str(value)


def hyperparameter_log(**configs: Any) -> list[dict[str, Any]]:
    """Make rows `stage, hyperparameter, value` of configs: `hyperparameter_log(sft=..., ppo=...)`.

    Pass each stage's config as it was used. TypeError if one is not a dataclass.
    """
    rows = []
    for stage, config in configs.items():
        if not dataclasses.is_dataclass(config) or isinstance(config, type):
            raise TypeError(
                f"{stage}: expected a config such as SFTConfig(...), not {type(config).__name__}"
            )
        rows += [
            {
                "stage": stage,
                "hyperparameter": field.name,
                "value": to_json(getattr(config, field.name)),
            }
            for field in dataclasses.fields(config)
        ]
    return rows


def table_text(rows: Sequence[Row]) -> str:
    """Format rows as aligned columns for a terminal."""
    columns, cells = _cells(rows)
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [columns, *cells]
    ]
    return "\n".join(lines + _rest(rows)) or "(no rows)"


def table_html(rows: Sequence[Row]) -> str:
    """Format rows as an HTML table, with everything escaped."""
    columns, cells = _cells(rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>" for line in cells
    )
    rest = "".join(f"<p>{html.escape(line)}</p>" for line in _rest(rows))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the column names, in order of appearance and without long lists, and the cells' texts."""
    columns: list[str] = []
    for row in rows:
        columns += [key for key, value in row.items() if key not in columns and not _is_bulk(value)]
    return columns, [[_show(row.get(name)) for name in columns] for row in rows[:MAX_SHOWN]]


def _rest(rows: Sequence[Row]) -> list[str]:
    return [f"… and {len(rows) - MAX_SHOWN} more rows"] if len(rows) > MAX_SHOWN else []


def _is_bulk(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 4


def _show(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
