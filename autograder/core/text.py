"""Make text from submissions safe to show: every character that is invisible, reorders text or controls a terminal is
shown as a code.

There are three forms: for terminals (plain text), for HTML (escaped, with the shown codes marked) and for JSON (lone
surrogates replaced, so that the file is valid UTF-8).
"""

from __future__ import annotations

import math
import re
import unicodedata

from markupsafe import Markup, escape

MAX_CHARS = 20_000  # of one text on a page; report.json holds more
MAX_MARKS = 2  # combining marks on one letter; more of them cover the lines around it
_INVISIBLE = frozenset(
    # Characters that are invisible although their category is a letter, a mark or a symbol.
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
_HIDING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_EMOJI_STYLE = frozenset("\ufe0e\ufe0f")  # harmless right after a symbol, as most emoji are written
_NAMES = {0x1B: "ESC", 0x07: "BEL", 0x08: "BS", 0x0D: "CR", 0x00: "NUL", 0x7F: "DEL"}
_CODE = r"⟦(?:U\+[0-9A-F]{4,6}|ESC|BEL|BS|CR|NUL|DEL)⟧"
_SHOWN = re.compile(_CODE + r"|⟦\+\d+⟧")
_RUN = re.compile(f"((?:{_CODE}){{3}})((?:{_CODE})+)")


def visible(text: object, *, limit: int = MAX_CHARS, lines: bool = True) -> str:
    """Replace every control, bidirectional, zero-width or unassigned character by its code, such as ⟦U+202E⟧.

    lines: keep newlines and tabs; otherwise they become spaces. Combining marks beyond two on one letter are shown as
    codes, since stacks of them cover other text. Of a run of hidden characters the first three are shown and the others
    counted (⟦+27⟧). limit: longer texts are cut, and the number of characters that were cut is added.
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
    """Text of a submission for HTML: escaped, with hidden characters shown and marked."""
    escaped = str(escape(visible(text, limit=limit)))
    return Markup(_SHOWN.sub(lambda m: f'<span class="hid">{m.group()}</span>', escaped))


def one_line(text: object, limit: int = 200) -> str:
    """Text of a submission for a terminal or a title: one line without control characters."""
    return visible(text, limit=limit, lines=False)


def ascii_form(text: str) -> str:
    """The text in ASCII with escapes, to tell look-alike letters apart; empty if the text is ASCII already."""
    return "" if text.isascii() else text.encode("ascii", "backslashreplace").decode()


def valid_unicode(text: str) -> str:
    """Replace lone surrogates by U+FFFD, since UTF-8 cannot encode them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def number(value: object, digits: int = 4) -> str:
    """Format a number for readers: integers in full, floats with `digits` significant figures, the rest as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if 1e3 <= abs(value) < 1e6:
        return f"{value:.1f}"
    return f"{value:.{digits}g}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.{digits - 1}g}"


def points(value: float) -> str:
    """Format points without trailing zeros: 3, 2.5, 0.33."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
