"""Text of submissions is shown safely and legibly."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.core.text import ascii_form, html, number, one_line, points, valid_unicode, visible

anything = st.text(st.characters(codec=None), max_size=200)


@given(anything)
def test_no_control_or_hidden_character_is_left(text: str) -> None:
    left = {c for c in visible(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    assert left <= {"\n", "\t"}


@given(anything)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_plain_ascii_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", ["naïve café", "日本語の答え", "Ответ", "δ = r + γV", "⚠️ ok ✅", "a\tb\nc"])
def test_honest_text_in_any_language_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a⟦U+202E⟧b"),
        ("a\u200bb", "a⟦U+200B⟧b"),
        ("\x1b[31m", "⟦ESC⟧[31m"),
        ("a\rb", "a⟦CR⟧b"),
        ("\x00", "⟦NUL⟧"),
        ("\u3164", "⟦U+3164⟧"),
        ("\U000e0041", "⟦U+E0041⟧"),
        ("a\r\nb", "a\nb"),
        ("\ud800", "⟦U+D800⟧"),
        ("x" + "\u0336" * 30, "x\u0336\u0336⟦U+0336⟧⟦U+0336⟧⟦U+0336⟧⟦+25⟧"),
    ],
)
def test_hidden_characters_are_shown_by_name(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 50, limit=10) == "x" * 10 + " … (40 more characters)"


def test_markup_is_escaped_and_hidden_characters_are_marked() -> None:
    assert html("<b>\u202e&'\"") == '&lt;b&gt;<span class="hid">⟦U+202E⟧</span>&amp;&#39;&#34;'


@given(anything)
def test_any_text_can_be_encoded_after_valid_unicode(text: str) -> None:
    valid = valid_unicode(text)
    assert valid.encode("utf-8").decode("utf-8") == valid


@given(st.text(max_size=200))
def test_text_that_is_valid_already_is_not_changed(text: str) -> None:
    assert valid_unicode(text) == text


def test_look_alike_letters_are_spelled_out() -> None:
    assert ascii_form("fin\u0430l.ipynb") == "fin\\u0430l.ipynb"
    assert ascii_form("final.ipynb") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.19312, "0.1931"),
        (2.1e-7, "2.1e-07"),
        (1234.56, "1234.6"),
        (3, "3"),
        (float("nan"), "nan"),
        (True, "True"),
        (0.0, "0"),
        (-1.5, "-1.5"),
        (1e9, "1e+09"),
        ("x", "x"),
    ],
)
def test_numbers_are_short(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(10.0, "10"), (2.5, "2.5"), (0.33, "0.33"), (0.0, "0"), (100.0, "100")])
def test_points_have_no_trailing_zeros(value: float, text: str) -> None:
    assert points(value) == text
