"""The two pages show what their readers need, and no text of others as markup."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest

from autograder.report.feedback import feedback_page
from autograder.report.ta import ta_page
from tests.support.report_fixture import CANARY, MISTAKE, bundle, graded, typical_results

VOID = {"meta", "br", "img", "link", "input", "rect", "line", "circle", "polyline"}
ALLOWED_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "main",
    "section",
    "article",
    "div",
    "span",
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "dl",
    "dt",
    "dd",
    "ul",
    "li",
    "a",
    "code",
    "pre",
    "table",
    "caption",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "th",
    "td",
    "strong",
    "figure",
    "figcaption",
    "details",
    "summary",
    "svg",
    "line",
    "text",
    "rect",
    "polyline",
    "circle",
}


class Outline(HTMLParser):
    """Collects tags and attributes, and asserts that elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.stack: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> closes another element"

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def ta(hostile: bool = False, **changes: object) -> str:
    return ta_page(bundle(hostile, **changes))


def feedback(hostile: bool = False) -> str:
    return feedback_page(bundle(hostile))


PAGES = [
    pytest.param(page, hostile, id=f"{page.__name__}-{'hostile' if hostile else 'plain'}")
    for page in (ta, feedback)
    for hostile in (False, True)
]


@pytest.mark.parametrize(("page", "hostile"), PAGES)
def test_pages_are_well_formed_and_use_harmless_elements_only(page, hostile: bool) -> None:
    outline = Outline(page(hostile))
    assert not outline.stack
    assert set(outline.tags) <= ALLOWED_TAGS
    assert not [name for _, name, _ in outline.attributes if name.startswith("on") or name in ("style", "src")]
    assert all(value.startswith("#") for value in outline.values("href"))


@pytest.mark.parametrize(("page", "hostile"), PAGES)
def test_the_content_policy_allows_this_style_sheet_and_nothing_else(page, hostile: bool) -> None:
    text = page(hostile)
    css = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = next(v for v in Outline(text).values("content") if v.startswith("default-src"))
    for rule in (f"style-src 'sha256-{digest}'", "default-src 'none'", "script-src 'none'", "form-action 'none'"):
        assert rule in policy
    assert "<" not in css
    assert "url(" not in css


@pytest.mark.parametrize(("page", "hostile"), PAGES)
def test_ids_are_unique_and_every_link_has_its_target(page, hostile: bool) -> None:
    outline = Outline(page(hostile))
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert {href.removeprefix("#") for href in outline.values("href")} <= set(ids)


@pytest.mark.parametrize("page", [ta, feedback])
def test_pages_can_be_read_by_a_screen_reader(page) -> None:
    outline = Outline(page())
    assert "en" in outline.values("lang")
    assert outline.tags.count("h1") == 1
    assert {"row", "col"} <= set(outline.values("scope")) or page is feedback
    assert outline.tags.count("caption") == outline.tags.count("table")
    assert all(name in ("img", "true", "region") for name in outline.values("role"))


def test_the_tas_page_shows_all_evidence() -> None:
    page = ta()
    for needle in (
        "IndexError: index 7 is out of bounds",
        "def bradley_terry_loss",
        "Velmar is on Birch Street",
        MISTAKE["name"],
        "in place of T07",
        "9.9",
        "No point depends on them",
        "--seed 20261121",
        "--only ",
        "1 isolated",
        "2 min 51 s",
        "Two cells answer T04",
        "No answer.",
        "0.193",
    ):
        assert needle in page, needle
    assert page.count('<svg class="chart"') == 4


def test_bulk_data_stays_out_of_the_page() -> None:
    assert "response_ids" not in ta()


def test_commands_to_replay_never_hold_the_submission_name() -> None:
    given = bundle()
    odd = dataclasses.replace(given.submission, name="x; rm -rf $HOME #.ipynb")
    replay = ta(submission=odd).split("See it again")[1]
    assert "rm -rf" not in replay


def test_hostile_text_is_escaped_and_its_hidden_characters_are_shown() -> None:
    page = ta(True)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "⟦U+202E⟧" in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "\u200b" not in page
    assert "fin\\u0430l" in page or "\\u0430" in page
    assert "{{ 7*7 }}" in page
    assert ">49<" not in page


def test_feedback_holds_only_texts_of_the_grader() -> None:
    """Evidence, names, notes, code, written answers and claims are hostile; the grader's messages are not."""
    given = bundle(True)
    results = {
        id_: dataclasses.replace(r, evidence={"traceback": CANARY, "generations": [{"sft": CANARY}]})
        for id_, r in typical_results().items()
    }
    page = feedback_page(dataclasses.replace(given, graded=graded(results)))
    assert CANARY not in page
    assert given.submission.name[:8] not in page
    assert "Traceback" not in page
    assert "tolerance" not in page
    assert "Birch Street" not in page
    assert MISTAKE["sentence"] in page
    assert "Right for short rows" in page


def test_feedback_shows_measured_values_and_thresholds() -> None:
    assert "0.759 [0.745, 0.772]" in feedback()
    assert "lower end above 0.65" in feedback()
    assert "Held-out loss fell from 3.61 to 0.94." in feedback()


def test_evidence_of_any_shape_is_shown_without_an_error() -> None:
    results = typical_results()
    odd = [
        None,
        3,
        "text",
        [],
        {},
        [[1, [2, [3, [4, [5]]]]]],
        {"curve": 3},
        {"curve": {"steps": 1}},
        {"curve": {"steps": [1], "y": "abc"}},
        {"curve": {"steps": ["a", None], "y": [float("nan"), 2]}},
        {"curve": {"steps": [5], "y": [2.0]}},
        {"generations": "x"},
        {"generations": [1, {"sft": 3}]},
        {"rows": []},
        {"rows": [1]},
        {"range": [1]},
        {"interval": "ab"},
        {"seeds": [{"a": {"b": [1] * 99}}]},
    ]
    for id_ in ("sft_loss_trend", "rm_accuracy", "ppo_reward", "ppo_kl", "comparison", "T01"):
        for value in odd:
            evidence = value if isinstance(value, dict) else {"odd": value}
            page = ta(graded=graded(results | {id_: dataclasses.replace(results[id_], evidence=evidence)}))
            assert "Item by item" in page


def test_the_score_of_a_pending_item_is_a_dash_and_not_a_zero() -> None:
    assert '–<span class="of"> / 5' in ta()
