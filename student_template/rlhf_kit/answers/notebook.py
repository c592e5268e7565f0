"""Read the bytes of one ``.ipynb`` into cells as plain data. Runs in a limited child process while grading.

The notebook is parsed as JSON, without nbformat, which rejects files for details (missing ids, unusual metadata) that
do not matter for grading. Only each cell's kind and source are read; metadata, kernelspec, ids, counters and saved
outputs are ignored. The exception is the kit's result tables among the outputs, which are shown to the TA as claims.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RESULTS_MIME = "application/vnd.rlhf-lab.results+json"
RESULT_CHARS = 200_000  # most characters of one result table as JSON; the kit's are a few kB
RESULTS_CHARS = 2_000_000  # of all result tables together
RESULT_DEPTH = 12
KINDS = {"code": "code", "markdown": "markdown", "raw": "raw", "heading": "markdown", "html": "markdown"}
_INLINE_DATA = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=]+")  # as Colab saves pasted pictures
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


class RejectedError(ValueError):
    """A parser rejects its input. The message is shown to the user unchanged."""


def read_notebook(raw: bytes, limits: Mapping[str, int]) -> dict[str, Any]:
    """Read the cells of a notebook in any format that has cells (v2 to v5).

    Args:
        raw: the file as received.
        limits: the registry's [limits.intake].

    Returns:
        {"cells": [{"index", "kind", "source", "results"}], "notes": [sentences]}.

    Raises:
        RejectedError: the file is not a notebook, or too large. The message continues a sentence that starts with
            the file's name, and says what to do.
    """
    if len(raw) > limits["notebook_bytes"]:
        raise RejectedError(
            f"is larger than {limits['notebook_bytes'] >> 20} MB. Clear all outputs, save and hand in again."
        )
    text, notes = _decode(raw)
    cells: list[dict[str, Any]] = []
    left = {"code": limits["source_bytes"], "text": limits["source_bytes"], "results": RESULTS_CHARS}
    for index, raw_cell in enumerate(_raw_cells(_parse(text), limits["cells"])):
        source = _source(raw_cell)
        if source is None:
            notes.append(f"Cell {index + 1} has no readable text; it was left out.")
            continue
        kind = KINDS.get(str(raw_cell.get("cell_type")), "raw")
        pool = "code" if kind == "code" else "text"  # separate limits, so that pasted pictures do not displace code
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
    """Decode UTF-8 with or without byte-order mark, UTF-16 or UTF-32. Invalid bytes are replaced."""
    if not raw.strip():
        raise RejectedError("is empty. Save the notebook again and hand in that file.")
    encoding = json.detect_encoding(raw[:64])
    try:
        return raw.decode(encoding), []
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), ["Bytes that are not text were replaced."]


def _parse(text: str) -> dict[str, Any]:
    """Parse the JSON object in the file. Integers beyond Python's limit on digits are read as infinity."""
    try:
        document = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 300 else math.inf)
    except RecursionError:
        raise RejectedError("is nested too deeply to be a notebook. Hand in the .ipynb file itself.") from None
    except ValueError as error:
        raise RejectedError(_why_not_json(text, getattr(error, "pos", 0))) from None
    if not isinstance(document, dict):
        raise RejectedError("is JSON but not a notebook. Hand in the .ipynb file itself.")
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
    """Return the list of cells, which is at the top (v4, v5) or in worksheets (v2, v3)."""
    cells = document.get("cells")
    if not isinstance(cells, list):
        worksheets = document.get("worksheets")
        found = [
            sheet["cells"]
            for sheet in (worksheets if isinstance(worksheets, list) else [])
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
        ]
        if not found:
            raise RejectedError("is JSON but holds no notebook cells. Hand in the .ipynb file itself.")
        cells = [cell for sheet in found for cell in sheet]
    if not cells:
        raise RejectedError("is a notebook without cells. Hand in the notebook you worked in.")
    if len(cells) > most:
        raise RejectedError(f"has {len(cells):,} cells; at most {most:,} are read. Remove what is not needed.")
    return cells


def _source(cell: Any) -> str | None:
    """Return the cell's text with \\n line ends, or None if it has none. v3 code cells call it ``input``."""
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
    """Yield the kit's result tables among the saved outputs, as long as `left` has room for all cells' tables."""
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
    """Decode a mime bundle's JSON, which may be saved as JSON, as a string or as a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _plain(value: Any, depth: int) -> Any:
    """Copy JSON with null for non-finite numbers and without lone surrogates. Raises ValueError if it is too deep."""
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
