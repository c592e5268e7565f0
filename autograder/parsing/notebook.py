"""Bytes of one ``.ipynb`` -> its cells, as plain data. Pure; runs in the limited child (limited.py).

A notebook is read as JSON by our own few lines: what a grader needs is each cell's kind and source,
and nbformat refuses files over details (missing ids, odd metadata) that do not matter here.
Everything else in the file is ignored: metadata, kernelspec, ids, counters, saved outputs. The one
thing kept from outputs is the result tables of the kit, as claims for the TA's eyes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from autograder.parsing.limited import Rejected

RESULTS_MIME = "application/vnd.rlhf-lab.results+json"
RESULT_CHARS = 200_000  # of one result table as JSON; the kit's own are a few kB
RESULTS_CHARS = 2_000_000  # of all of them together
RESULT_DEPTH = 12
KINDS = {"code": "code", "markdown": "markdown", "raw": "raw", "heading": "markdown", "html": "markdown"}
_INLINE_DATA = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=]+")  # Colab saves pasted pictures so
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def read_notebook(raw: bytes, limits: Mapping[str, int]) -> dict[str, Any]:
    """Cells of a notebook in any format that has cells (v2 to v5).

    Args:
        raw: the file as received, at most ``limits["notebook_bytes"]``.
        limits: the registry's [limits.intake].

    Returns:
        {"cells": [{"index", "kind", "source", "results"}], "notes": [sentences]}.

    Raises:
        Rejected: not a notebook; the message says what to do.
    """
    text, notes = _decode(raw)
    cells: list[dict[str, Any]] = []
    left = {"code": limits["source_bytes"], "text": limits["source_bytes"], "results": RESULTS_CHARS}
    for index, raw_cell in enumerate(_raw_cells(_parse(text), limits["cells"])):
        source = _source(raw_cell)
        if source is None:
            notes.append(f"Cell {index + 1} has no readable text; it was left out.")
            continue
        kind = KINDS.get(str(raw_cell.get("cell_type")), "raw")
        pool = "code" if kind == "code" else "text"  # a pasted picture must not crowd out code
        source = source if kind == "code" else _INLINE_DATA.sub("data:,", source)
        size = len(source.encode("utf-8"))
        if size > left[pool]:
            notes.append(f"Cell {index + 1} is too long to be graded ({size:,} bytes); it was left out.")
            continue
        left[pool] -= size
        results = list(_results(raw_cell, left)) if kind == "code" else []
        cells.append({"index": index, "kind": kind, "source": source, "results": results})
    return {"cells": cells, "notes": notes}


def _decode(raw: bytes) -> tuple[str, list[str]]:
    """UTF-8 with or without byte-order mark, UTF-16 or UTF-32; stray bytes are replaced."""
    if not raw.strip():
        raise Rejected("is empty. Save the notebook again and hand in that file.")
    encoding = json.detect_encoding(raw[:64])
    try:
        return raw.decode(encoding), []
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), ["Bytes that are not text were replaced."]


def _parse(text: str) -> dict[str, Any]:
    """The JSON object in the file. Python's limit on digits must not refuse a notebook: ints may overflow."""
    try:
        document = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 300 else math.inf)
    except RecursionError:
        raise Rejected("is nested too deeply to be a notebook. Hand in the .ipynb file itself.") from None
    except ValueError as error:
        raise Rejected(_why_not_json(text, getattr(error, "pos", 0))) from None
    if not isinstance(document, dict):
        raise Rejected("is JSON but not a notebook. Hand in the .ipynb file itself.")
    return document


def _why_not_json(text: str, position: int) -> str:
    start = text.lstrip("\ufeff \t\r\n")[:200].lower()
    if re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE):
        return "holds the marks of an unfinished git merge. Resolve the conflict, save and hand in again."
    if start.startswith("<"):
        return "is a web page, not a notebook. Use “Download .ipynb” and hand in that file."
    if not start.startswith("{"):
        return "is not a notebook. Hand in the .ipynb file, or a zip with it."
    if position >= len(text.rstrip()) - 1 or text.rstrip()[-1:] != "}":
        return "is cut off before its end. Save or download it again and hand in the whole file."
    line = text.count("\n", 0, position) + 1
    return f"is damaged at line {line}: it is not valid JSON. Save or download it again."


def _raw_cells(document: dict[str, Any], most: int) -> list[Any]:
    """The list of cells: at the top (v4, v5), or in worksheets (v2, v3)."""
    cells = document.get("cells")
    if not isinstance(cells, list):
        sheets = document.get("worksheets")
        found = [s["cells"] for s in sheets if isinstance(s, dict) and isinstance(s.get("cells"), list)] \
            if isinstance(sheets, list) else []
        if not found:
            raise Rejected("is JSON but holds no notebook cells. Hand in the .ipynb file itself.")
        cells = [cell for sheet in found for cell in sheet]
    if not cells:
        raise Rejected("is a notebook without cells. Hand in the notebook you worked in.")
    if len(cells) > most:
        raise Rejected(f"has {len(cells):,} cells; at most {most:,} are read. Remove what is not needed.")
    return cells


def _source(cell: Any) -> str | None:
    """The cell's text with \\n line ends, or None. v3 code cells call it ``input``."""
    if not isinstance(cell, dict):
        return None
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    source = _LONE_SURROGATES.sub("\ufffd", source).lstrip("\ufeff")
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _results(cell: dict[str, Any], left: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The kit's result tables among the saved outputs, within what is `left` for all cells."""
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        data = output.get("data") if isinstance(output, dict) else None
        found = _as_json(data.get(RESULTS_MIME)) if isinstance(data, dict) else None
        if not isinstance(found, dict):
            continue
        try:
            table = _plain(found, RESULT_DEPTH)
        except ValueError:
            continue
        size = len(json.dumps(table))
        if size <= min(RESULT_CHARS, left["results"]):
            left["results"] -= size
            yield table


def _as_json(value: Any) -> Any:
    """A mime bundle's JSON may be saved as JSON, as a string or as a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _plain(value: Any, depth: int) -> Any:
    """The same JSON with non-finite numbers as null and no lone surrogates; ValueError if too deep."""
    if depth < 0:
        raise ValueError("too deep")
    if isinstance(value, dict):
        return {_plain(key, 0): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, str):
        return _LONE_SURROGATES.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > 1 << 62:
        return None
    return value
