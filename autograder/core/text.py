"""Foreign text made harmless and honest: every character that hides, reorders or controls is shown.

Three uses: the terminal (plain text), HTML (escaped, the shown characters marked) and JSON
(lone surrogates replaced, so that the file is valid UTF-8 and strict parsers read it).
"""

from __future__ import annotations

import math
import re
import unicodedata

from markupsafe import Markup, escape

MAX_CHARS = 20_000  # of one text on a page; report.json keeps more
MAX_MARKS = 2  # combining marks on one letter: more of them paint over the lines around it
_INVISIBLE = frozenset(
    # Drawn as nothing, though their category is a letter, a mark or a symbol.
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0]
    + [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)
_HIDING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_EMOJI_STYLE = frozenset("\ufe0e\ufe0f")  # harmless right after a symbol, as most emoji are written
_NAMES = {0x1B: "ESC", 0x07: "BEL", 0x08: "BS", 0x0D: "CR", 0x00: "NUL", 0x7F: "DEL"}
_CODE = r"⟦(?:U\+[0-9A-F]{4,6}|ESC|BEL|BS|CR|NUL|DEL)⟧"
_SHOWN = re.compile(_CODE + r"|⟦\+\d+⟧")
_RUN = re.compile(f"((?:{_CODE}){{3}})((?:{_CODE})+)")


def visible(text: object, *, limit: int = MAX_CHARS, lines: bool = True) -> str:
    """`text` with each control, bidirectional, zero-width or unassigned character as ⟦U+202E⟧.

    Newlines and tabs stay when `lines` is true and become spaces otherwise. Combining marks
    beyond two on one letter are shown as code points, for stacks of them cover other text; of a
    run of hidden characters the first three are shown and the rest counted (⟦+27⟧). What exceeds
    `limit` characters is cut, and the cut is said.
    """
    raw = str(text).replace("\r\n", "\n")
    cut = f" … ({len(raw) - limit} more characters)" if len(raw) > limit else ""
    out, marks, last = [], 0, ""
    for char in raw[:limit]:
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        emoji = char in _EMOJI_STYLE and bool(last) and unicodedata.category(last) == "So"
        out.append(char if emoji else _show(char, marks, lines))
        last = char
    return _RUN.sub(lambda m: f"{m[1]}⟦+{m[2].count('⟦')}⟧", "".join(out)) + cut


def _show(char: str, marks: int, lines: bool) -> str:
    if char in "\n\t":
        return char if lines else " "
    if char.isascii() and char.isprintable():
        return char
    code, category = ord(char), unicodedata.category(char)
    if category in _HIDING or code in _INVISIBLE or marks > MAX_MARKS:
        return f"⟦{_NAMES.get(code, f'U+{code:04X}')}⟧"
    return " " if category == "Zs" else char


def html(text: object, limit: int = MAX_CHARS) -> Markup:
    """Foreign text for HTML: escaped, hidden characters shown and marked."""
    escaped = str(escape(visible(text, limit=limit)))
    return Markup(_SHOWN.sub(lambda m: f'<span class="hid">{m.group()}</span>', escaped))


def one_line(text: object, limit: int = 200) -> str:
    """Foreign text for a terminal or a title: one line, nothing that controls."""
    return visible(text, limit=limit, lines=False)


def ascii_form(text: str) -> str:
    """`text` in pure ASCII with escapes when it holds anything else, to tell look-alike letters apart."""
    return "" if text.isascii() else text.encode("ascii", "backslashreplace").decode()


def valid_unicode(text: str) -> str:
    """`text` with lone surrogates replaced by U+FFFD: what UTF-8 can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def number(value: object, digits: int = 4) -> str:
    """A number for reading: integers whole, floats with `digits` significant figures, else the text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if 1e3 <= abs(value) < 1e6:
        return f"{value:.1f}"
    return f"{value:.{digits}g}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.{digits - 1}g}"


def points(value: float) -> str:
    """Points without trailing zeros: 3, 2.5, 0.33."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
