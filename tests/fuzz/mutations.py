"""Ways to damage a submission: each takes a random generator and returns the bytes of the submitted file."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.intake_notebooks import ACCURACY, BLANK, IMPORTS, LOSS, code, markdown, notebook, zip_bytes

GOOD = json.dumps(notebook([markdown("# x"), IMPORTS, LOSS, ACCURACY, BLANK])).encode()
ZIPPED = zip_bytes({"a.ipynb": notebook([IMPORTS, LOSS]), "b/b.ipynb": notebook([LOSS, ACCURACY])})
SAMPLE = Path(__file__).parents[1] / "submissions" / "typical.ipynb"
FRAGMENTS = [
    "def bradley_terry_loss(a, b):", "    return a - b", "# TODO T07 ·", "%%time", "%%bash", "!pip install x",
    "    raise NotImplementedError('T07')", "'''", '"', "(", ")", "\t", "  x = 1", "@deco", "try:", "else:",
    "class RewardModel:", "    def forward(self): pass", "\\", "x = %time y", "y?", "\x00", "\u2028", "\f",
    "from x import *", "    import z", "except E:", "pass", "été = '尺'", "lambda: (yield)", "return 3", ";;",
    "a; b = 2", "f'{x!r:{", "x = " + "(" * 300, "x = " + "-" * 3000 + "1", "y = [" + "1," * 20000 + "]",
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, -1, 1e308, 10**40, "", "x", "\ud800", [], {}, [[]], {"a": {"a": {}}}, ["\n"] * 50, [1, None],
]  # fmt: skip
PLACES = ("cells", "source", "outputs", "metadata", "cell_type", "nbformat", "id", "execution_count", "worksheets")
Mutation = Callable[[random.Random], bytes]


def whole(rng: random.Random) -> bytes:
    """An undamaged file: the small notebook, the zip, or a sample of real size."""
    return rng.choice([GOOD, ZIPPED, GOOD, SAMPLE.read_bytes()])


def document() -> dict[str, Any]:
    """A new copy of the small notebook."""
    loaded: dict[str, Any] = json.loads(GOOD)
    return loaded


def dumped(value: Any) -> bytes:
    """JSON with lone surrogates as escapes, as some tools save it."""
    return json.dumps(value).encode()


def bit_flips(rng: random.Random) -> bytes:
    """Flip one to forty bits anywhere."""
    raw = bytearray(whole(rng))
    for _ in range(rng.choice([1, 2, 8, 40])):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw)


def truncation(rng: random.Random) -> bytes:
    """Cut the file off, and sometimes append another one."""
    raw = whole(rng)
    cut = raw[: rng.randrange(1, len(raw))]
    return cut if rng.random() < 0.7 else cut + whole(rng)


def wrong_types(rng: random.Random) -> bytes:
    """Put values of another type into one to four fields that a reader uses."""
    found = document()
    for _ in range(rng.randint(1, 4)):
        target: Any = found if rng.random() < 0.3 or not _cells(found) else rng.choice(_cells(found))
        if isinstance(target, dict):
            target[rng.choice(PLACES)] = rng.choice(ODD_VALUES)
    return dumped(found)


def deep_nesting(rng: random.Random) -> bytes:
    """Nest brackets deeply, in the JSON, in an output or in the Python of a cell."""
    depth = rng.choice([100, 5_000, 200_000])
    lists = "[" * depth + "]" * depth
    where = rng.randrange(3)
    if where == 0:
        return lists.encode()
    if where == 1:
        return GOOD.replace(b'"outputs": []', b'"outputs": ' + lists.encode(), 1)
    return dumped(notebook([IMPORTS, LOSS, f"x = {lists}", "y = " + "not " * depth + "1"]))


def byte_order_mark(rng: random.Random) -> bytes:
    """UTF-8 with one, two or misplaced byte-order marks."""
    raw, mark = GOOD, b"\xef\xbb\xbf"
    return rng.choice([mark + raw, mark + mark + raw, raw + mark, raw.replace(b"import", mark + b"import")])


def utf_16(rng: random.Random) -> bytes:
    """UTF-16 and UTF-32 of either byte order, with and without a mark, also of odd length."""
    text = GOOD.decode()
    raw = text.encode(rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]))
    return raw if rng.random() < 0.7 else raw[:-1]


def line_ends(rng: random.Random) -> bytes:
    """CRLF, CR and mixed line ends in the file and in the sources."""
    end = rng.choice(["\r\n", "\r", "\n\r", "\u2028", "\x0b"])
    cells = [cell.replace("\n", end) for cell in (IMPORTS, LOSS, ACCURACY)]
    return json.dumps(notebook(cells), indent=1).replace("\n", rng.choice(["\r\n", "\n"])).encode()


def huge_outputs(rng: random.Random) -> bytes:
    """Outputs of 1 to 60 MB: a text, a picture, or thousands of small ones."""
    size = int(10 ** rng.uniform(6, 7.78))
    text = {"output_type": "stream", "name": "stdout", "text": "x" * size}
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * size}}
    many = [{"output_type": "stream", "name": "stderr", "text": "."}] * (size // 400)
    outputs = rng.choice([[text], [picture], many])
    return dumped(notebook([IMPORTS, {**code(LOSS), "outputs": outputs}]))


def many_cells(rng: random.Random) -> bytes:
    """1,000 to 20,000 cells that are empty, equal, or all have the marker of a slot."""
    count, source = rng.choice([1_000, 1_999, 2_001, 10_000, 20_000]), rng.choice(["", "x = 1", LOSS])
    return dumped(notebook([IMPORTS, *[source] * count]))


def old_and_new_formats(rng: random.Random) -> bytes:
    """nbformat 1 to 6, with the keys of versions 2 and 3, and malformed worksheets."""
    cells = [{"cell_type": "code", "input": text, "language": "python", "outputs": []} for text in (IMPORTS, LOSS)]
    sheets: list[Any] = [{"cells": cells, "metadata": {}}] * rng.randint(0, 3)
    if rng.random() < 0.5:
        sheets.append(rng.choice(ODD_VALUES))
    old = {"nbformat": rng.choice([1, 2, 3]), "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": sheets}
    new = notebook([IMPORTS, LOSS], nbformat=rng.choice([5, 6, "4", 4.5]), nbformat_minor=rng.choice([0, 99, None]))
    return dumped(rng.choice([old, new]))


def duplicate_ids(rng: random.Random) -> bytes:
    """Cell ids and JSON keys that occur twice, and slots that are answered twice."""
    cells = [{**code(text), "id": "same"} for text in (IMPORTS, LOSS, LOSS, ACCURACY)]
    raw = dumped(notebook(cells))
    return raw if rng.random() < 0.5 else raw.replace(b'"cells":', b'"cells": [], "cells":', rng.randint(1, 2))


def surrogates(rng: random.Random) -> bytes:
    """Lone surrogates, NUL, bidirectional and other marks in sources and keys."""
    odd = rng.choice(["\ud800", "\udfff\ud800", "\x00", "\u202e", "\ufeff", "\U0010ffff", "\x1b[2J"])
    cells = [IMPORTS, LOSS.replace("chosen", f"cho{odd}sen"), f"'{odd}'", {**code(ACCURACY), odd: odd}]
    return dumped(notebook(cells, **{odd: 1}))


def cell_texts(rng: random.Random) -> bytes:
    """Cells of fragments that are hard to parse, beside a good one."""
    texts = ["\n".join(rng.choices(FRAGMENTS, k=rng.randint(1, 14))) for _ in range(rng.randint(1, 6))]
    return dumped(notebook([IMPORTS, *texts, LOSS]))


def random_bytes(rng: random.Random) -> bytes:
    """Random bytes, some with the first bytes of a known file type."""
    start = rng.choice([b"", b"PK\x03\x04", b"PK\x05\x06", b'{"cells": [', b"\x1f\x8b", b"%PDF-", b"<html>"])
    return start + rng.randbytes(rng.randrange(0, 3000))


def zip_bombs(rng: random.Random) -> bytes:
    """Small zips that unpack to much: one member, many, nested ones, or a false size."""
    raw = zip_bytes({"rlhf.ipynb": b" " * int(10 ** rng.uniform(7, 8.1))})
    way = rng.randrange(4)
    if way == 0:
        return raw
    if way == 1:
        return zip_bytes({f"{number}.ipynb": b" " * 5_000_000 for number in range(rng.randint(2, 25))})
    if way == 2:
        return zip_bytes({"inner.zip": raw, "rlhf.ipynb": raw})
    spoiled = bytearray(raw)
    at = spoiled.rfind(b"PK\x01\x02") + 24
    spoiled[at : at + 4] = (1000).to_bytes(4, "little")
    return bytes(spoiled)


def symlinks(rng: random.Random) -> bytes:
    """Links in a zip: to a file, to a folder or to itself, with or without a good notebook."""
    target = rng.choice(["/etc/passwd", "rlhf.ipynb", "../../x.ipynb", "/dev/zero", "/proc/self/environ"])
    members: dict[str, Any] = {"rlhf.ipynb": target}
    if rng.random() < 0.5:
        members["good.ipynb"] = document()
    return zip_bytes(members, links=["rlhf.ipynb"])


def traversal_names(rng: random.Random) -> bytes:
    """Member names that lead out of the archive, are absolute, very long, hidden or not text."""
    name = rng.choice([
        "../rlhf.ipynb", "/etc/cron.d/rlhf.ipynb", "a/../../rlhf.ipynb", "..\\rlhf.ipynb", "C:\\rlhf.ipynb",
        "x" * 5000 + ".ipynb", "a\x00b.ipynb", "\u202erlhf.ipynb", ".ipynb", "con.ipynb", "a/" * 300 + "b.ipynb",
        "\x1b[2Jrlhf.ipynb", "rlhf.ipynb/", "//rlhf.ipynb",
    ])  # fmt: skip
    return zip_bytes({name: document(), **({"good.ipynb": document()} if rng.random() < 0.4 else {})})


def damaged_zips(rng: random.Random) -> bytes:
    """Zips with flipped bits, a password bit, an unusual method, thousands of members, or two different notebooks."""
    raw = bytearray(ZIPPED)
    way = rng.randrange(5)
    if way == 0:
        raw[rng.randrange(len(raw))] ^= 0xFF
    elif way == 1:
        raw[6] |= 1
    elif way == 2:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", rng.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])) as archive:
            archive.writestr("rlhf.ipynb", GOOD)
        return buffer.getvalue()
    elif way == 3:
        return zip_bytes({f"{number}.txt": b"" for number in range(rng.choice([10, 2500]))})
    else:
        return zip_bytes({"a.ipynb": document(), "b.ipynb": notebook([IMPORTS, ACCURACY, LOSS + "\n"])})
    return bytes(raw)


def _cells(found: dict[str, Any]) -> list[Any]:
    cells = found.get("cells")
    return cells if isinstance(cells, list) else []


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__.replace("_", " "): mutation
    for mutation in (
        bit_flips, truncation, wrong_types, deep_nesting, byte_order_mark, utf_16, line_ends, huge_outputs,
        many_cells, old_and_new_formats, duplicate_ids, surrogates, cell_texts, random_bytes, zip_bombs, symlinks,
        traversal_names, damaged_zips,
    )
}  # fmt: skip
