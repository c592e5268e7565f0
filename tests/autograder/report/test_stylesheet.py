"""Every text of the pages has enough contrast in light and in dark mode (WCAG 2.1, 4.5:1)."""

from __future__ import annotations

import re

import pytest

from autograder.report.page import TEMPLATES


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_has_a_contrast_of_at_least_four_and_a_half(scheme: int) -> None:
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", css, re.S)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    tones = ("good", "mixed", "bad", "open", "quiet")
    pairs = [(tone, f"{tone}-bg") for tone in tones]
    pairs += [(text, ground) for text in ("ink", "dim") for ground in ("paper", "card", "code")]
    pairs += [("ink", "mixed-bg"), ("bad", "card"), ("good", "card"), ("mixed", "paper")]
    for text, ground in pairs:
        high, low = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
