"""The pages of the handout: complete, self-contained, and without a solution where students read them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from typer.testing import CliRunner

from assignment import cli
from assignment.release import html, reference_sample
from assignment.release.archive import NOTEBOOK, allowed
from assignment.release.html import FOR_INSTRUCTORS, Page, handout, loaded_addresses, solved_handout, to_html
from assignment.release.markers import SourceError
from assignment.release.release import Layout, Release, build
from assignment.verify.leaks import fingerprint, lines_left
from tests.support.browser import BROWSER
from tests.support.course import edit_file


@pytest.fixture(scope="module")
def real() -> Release:
    return build()


@pytest.fixture(scope="module")
def blank(real: Release) -> Page:
    return handout(real)


@pytest.fixture(scope="module")
def solved(real: Release) -> str:
    """Make the solved page with outputs, even if the committed sample is not current."""
    return to_html(nbformat.read(Layout().samples / reference_sample.SAMPLE, as_version=4), real, FOR_INSTRUCTORS)


def leaks(page: str, made: Release) -> list[str]:
    marks = [fingerprint(cell) for cell in made.cells if cell.slot]
    return lines_left("page", BeautifulSoup(page, "html.parser").get_text(), marks)


def code_of(page: str) -> list[str]:
    soup = BeautifulSoup(page, "html.parser")
    return [cell.select_one(".jp-InputArea-editor pre").get_text().rstrip() for cell in soup.select(".jp-CodeCell")]


def test_the_handout_holds_every_slot_and_the_code_of_the_students_notebook(real: Release, blank: Page) -> None:
    notebook = nbformat.reads(real.shipped[NOTEBOOK].decode(), as_version=4)
    assert code_of(blank.html) == [cell.source.rstrip() for cell in notebook.cells if cell.cell_type == "code"]
    assert [slot.id for slot in real.spec.slots if f"# TODO {slot.id} · " not in blank.html] == []


def test_the_handout_holds_no_line_of_a_solution_and_the_solved_one_does(
    real: Release, blank: Page, solved: str
) -> None:
    assert leaks(blank.html, real) == []
    assert {line.split("'s solution")[0][-3:] for line in leaks(solved, real)} >= {"T07", "T13"}  # the net holds


def test_the_solved_handout_holds_every_slot_its_outputs_and_a_warning(real: Release, solved: str) -> None:
    text = BeautifulSoup(solved, "html.parser").get_text()
    assert [slot.id for slot in real.spec.slots if f"✓ {slot.id}: all" not in text] == []
    assert FOR_INSTRUCTORS in text
    assert solved.count("data:image/png;base64,") >= 5


def test_every_formula_is_mathml(real: Release, blank: Page) -> None:
    notebook = nbformat.reads(real.shipped[NOTEBOOK].decode(), as_version=4)
    prose = "\n".join(re.sub(r"`[^`]*`", "", c.source) for c in notebook.cells if c.cell_type == "markdown")
    formulas = re.findall(r"\$\$.+?\$\$|\$.+?\$", prose, re.DOTALL)
    soup = BeautifulSoup(blank.html, "html.parser")
    assert len(soup.find_all("math")) == len(formulas) > 50
    assert "$" not in "".join(cell.get_text() for cell in soup.select(".jp-MarkdownCell"))


@pytest.mark.parametrize("which", ["blank", "solved"])
def test_a_page_loads_nothing_and_runs_nothing(which: str, blank: Page, solved: str) -> None:
    page = blank.html if which == "blank" else solved
    assert list(loaded_addresses(page)) == []
    assert "<script" not in page
    markup = re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert not re.search(r"""\b(?:src|srcset)\s*=\s*["']?+(?!data:)|\burl\(\s*["']?+(?!data:)""", markup)


@pytest.mark.parametrize(
    "piece",
    ['<img src="https://example.org/a.png">', '<img src="figure.png">', '<script src="//example.org/x.js"></script>',
     '<link rel="stylesheet" href="style.css">', '<iframe src="https://example.org"></iframe>',
     '<p style="background: url(https://example.org/a.png)">x</p>', "<style>@import 'x.css';</style>",
     '<style>p {background: url("a.png")}</style>', '<object data="a.svg"></object>', '<video poster="a.png"></video>'],
)  # fmt: skip
def test_addresses_that_a_browser_would_load_are_found(piece: str) -> None:
    assert len(list(loaded_addresses(f"<p>calm</p>{piece}"))) == 1


def test_links_and_embedded_images_are_not_reported() -> None:
    calm = '<a href="https://example.org">x</a><img src="data:image/png;base64,AA"><a href="#x">y</a>'
    assert list(loaded_addresses(calm)) == []


@pytest.mark.parametrize(
    ("prose", "says"),
    [("a $\\nosuch{x}$ b", "p3_sft.py:6: the formula '\\\\nosuch{x}' cannot be shown: Unknown command"),
     ("$$\n# x_\n# $$", "p3_sft.py:6: the formula 'x_' cannot be shown: "),
     ("![alt](figure.png)", "a page must not load anything: embed figure.png into its cell as a data: address")],
)  # fmt: skip
def test_a_cell_that_cannot_become_a_page_ends_in_one_sentence_and_nothing_is_written(
    layout: Layout, prose: str, says: str
) -> None:
    edit_file(layout.solutions / "p3_sft.py", "Prose with a formula, $x + y$.", prose)
    result = CliRunner().invoke(cli.create_app(), ["build", "--html"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert len(result.output.splitlines()) == 1
    assert says in result.output
    assert not layout.dist.exists()
    assert not (layout.template / NOTEBOOK).exists()


def test_build_html_writes_build_pages_and_says_what_is_in_them(layout: Layout) -> None:
    result = CliRunner().invoke(cli.create_app(), ["build", "--html"])
    assert result.exit_code == 0, result.output
    pages = {path.name: path.read_text(encoding="utf-8") for path in (layout.dist / "html").iterdir()}
    assert sorted(pages) == ["handout-solved.html", "handout.html"]
    assert "doubled_7" in pages["handout-solved.html"]
    assert "doubled_7" not in pages["handout.html"]
    assert "handout-solved.html" in result.output
    assert "without outputs, since there is no" in result.output


def test_pages_are_not_part_of_the_release(layout: Layout) -> None:
    for _ in range(2):  # the second build finds the pages of the first
        assert CliRunner().invoke(cli.create_app(), ["build", "--html"]).exit_code == 0
    with zipfile.ZipFile(io.BytesIO((layout.dist / "rlhf-student.zip").read_bytes())) as archive:
        names = archive.namelist()
    names += [path.name for path in layout.template.rglob("*")]
    assert [name for name in names if "html" in name or "solved" in name] == []
    assert not allowed(html.SOLVED)
    assert not allowed(f"html/{html.SOLVED}")


def test_an_edited_page_is_replaced_only_with_overwrite(layout: Layout) -> None:
    app, path = cli.create_app(), layout.dist / "html" / "handout.html"
    CliRunner().invoke(app, ["build", "--html"])
    written = path.read_text(encoding="utf-8")
    edit_file(path, "<p>Prose", "<p>My note. Prose")
    refused = CliRunner().invoke(app, ["build", "--html"])
    assert refused.exit_code == 1
    assert f"did not write: {path}" in refused.output
    assert len(refused.output.splitlines()) == 1
    assert "My note" in path.read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["build", "--html", "--overwrite"]).exit_code == 0
    assert path.read_text(encoding="utf-8") == written


def test_the_solved_page_shows_the_samples_outputs_only_if_they_still_apply(layout: Layout) -> None:
    made = build(layout)
    notebook = nbformat.reads(made.solved.decode(), as_version=4)
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", text="seen <i>once</i>")]
    layout.samples.mkdir()
    (layout.samples / reference_sample.SAMPLE).write_bytes(reference_sample.sample_file(made, notebook))
    page = solved_handout(made, layout)
    assert "seen &lt;i&gt;once" in page.html
    assert "with the outputs of submissions/reference.ipynb" in page.about
    edit_file(layout.solutions / "p3_sft.py", "sum([x, x])", "sum([x, x]) + 0")
    page = solved_handout(build(layout), layout)
    assert "once" not in page.html
    assert "ran with other code" in page.about


def test_to_html_refuses_a_page_that_is_not_self_contained(real: Release) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell('<img src="http://example.org/x.png">')])
    with pytest.raises(SourceError, match=r"embed http://example\.org/x\.png"):
        to_html(notebook, real)


WIDER = """() => [...document.querySelectorAll("body *")].filter(e => {
  if (e.getBoundingClientRect().right <= document.documentElement.clientWidth + 1) return false;
  for (let p = e.parentElement; p; p = p.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(p).overflowX)) return false;
  return true;
}).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["blank", "solved"])
def test_a_browser_shows_the_page_without_requests_errors_or_horizontal_scrolling(
    browser, tmp_path: Path, blank: Page, solved: str, which: str, width: int
) -> None:
    path, heard = tmp_path / "page.html", []
    path.write_text(blank.html if which == "blank" else solved, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(path.as_uri(), wait_until="load")
    assert [one for one in heard if one != path.as_uri() and not one.startswith("data:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(WIDER) == []
    formula = page.locator("math[display=block] mfrac").first.bounding_box()
    assert formula["height"] > 20  # a fraction is drawn as one, not as a line of text
    page.close()
